package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// deployed answers what status asks for, and marks functions with the region they were asked in.
func deployed(w http.ResponseWriter, r *http.Request) {
	region := "?"
	if parts := strings.Split(r.Header.Get("Authorization"), "/"); len(parts) > 2 {
		region = parts[2]
	}
	body, _ := io.ReadAll(r.Body)
	switch {
	case r.URL.Path == "/2015-03-31/functions/" && r.URL.Query().Get("Marker") == "":
		io.WriteString(w, `{"Functions":[{"FunctionName":"first-`+region+`","Runtime":"nodejs20.x","MemorySize":128,"Timeout":6}],"NextMarker":"a b"}`)
	case r.URL.Path == "/2015-03-31/functions/":
		io.WriteString(w, `{"Functions":[{"FunctionName":"second","Runtime":"python3.12","MemorySize":256,"Timeout":60}]}`)
	case r.URL.Path == "/2015-03-31/functions/second/configuration":
		io.WriteString(w, `{"RuntimeVersionConfig":{"Error":{"Message":"it runs on another"}}}`)
	case strings.HasSuffix(r.URL.Path, "/configuration"):
		io.WriteString(w, `{"RuntimeVersionConfig":{"RuntimeVersionArn":"arn"}}`)
	case r.URL.Path == "/restapis":
		io.WriteString(w, `{"item":[{"id":"r1","name":"rest"}]}`)
	case r.URL.Path == "/restapis/r1/stages":
		io.WriteString(w, `{"item":[{"stageName":"dev"}]}`)
	case r.URL.Path == "/v2/apis":
		io.WriteString(w, `{"items":[{"apiId":"h1","name":"http"}]}`)
	case r.Header.Get("X-Amz-Target") != "":
		io.WriteString(w, `{"Rules":[{"Name":"tick","ScheduleExpression":"rate(1 minute)","State":"ENABLED"}]}`)
	case bytes.Contains(body, []byte("DescribeStacks")):
		io.WriteString(w, `<R><DescribeStacksResult><Stacks><member><StackName>web-dev</StackName><StackStatus>CREATE_COMPLETE</StackStatus></member></Stacks></DescribeStacksResult></R>`)
	}
}

func TestStatus(t *testing.T) {
	code, out, errs := run(t, stub{}, deployed, "status")
	if code != 0 {
		t.Fatalf("code %d: %s", code, errs)
	}
	for _, want := range []string{"first-us-east-1", "nodejs20.x", "second", "1m0s", "/restapis/r1/dev/_user_request_/", "/restapis/h1/$default/_user_request_/",
		"CREATE_COMPLETE", "rate(1 minute)", "  WARNING: it runs on another\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	code, out, _ = run(t, stub{}, deployed, "status", "--json", "--region", "eu-west-3")
	var o overview
	if err := json.Unmarshal([]byte(out), &o); err != nil || code != 0 {
		t.Fatalf("code %d, %v: %s", code, err, out)
	}
	if len(o.Functions) != 2 || o.Functions[0].Note != "" || o.Functions[1].Note != "it runs on another" || o.Functions[0].Name != "first-eu-west-3" || o.Region != "eu-west-3" || len(o.APIs) != 2 || len(o.Stacks) != 1 || len(o.Rules) != 1 {
		t.Errorf("got %s", out)
	}
}

func TestStatusOfAnEmptyCloud(t *testing.T) {
	empty := func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form") {
			io.WriteString(w, "<R/>")
		} else {
			io.WriteString(w, "{}")
		}
	}
	if code, out, errs := run(t, stub{}, empty, "status"); code != 0 || strings.Count(out, "none") != 4 {
		t.Errorf("code %d\n%s\n%s", code, out, errs)
	}
	code, out, errs := run(t, stub{}, empty, "status", "--json")
	if code != 0 || strings.Count(out, ": []") != 4 || strings.Contains(out, "null") {
		t.Errorf("code %d\n%s\n%s", code, out, errs)
	}
}

// noGroup answers that there is no log group, and that of functions "quiet" alone exists.
func noGroup(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.Contains(r.URL.Path, "/quiet/"):
		io.WriteString(w, "{}")
		return
	case r.URL.Path == "/2015-03-31/functions/":
		io.WriteString(w, `{"Functions":[{"FunctionName":"quiet"}]}`)
		return
	}
	w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
	w.WriteHeader(http.StatusNotFound)
	io.WriteString(w, `{"message":"not there"}`)
}

func TestLogsSayWhyThereAreNone(t *testing.T) {
	for name, want := range map[string]string{
		"none":  "there is no function none in region us-east-1",
		"quiet": "function quiet has no log yet",
		"/a/b":  "there is no log group /a/b in region us-east-1",
	} {
		if code, _, errs := run(t, stub{}, noGroup, "logs", name); code != 1 || !strings.Contains(errs, want) {
			t.Errorf("logs %s: code %d: %s", name, code, errs)
		}
	}
}

// lines is a buffer that calls a function once it holds a text.
type lines struct {
	bytes.Buffer
	text string
	then func()
}

func (l *lines) Write(p []byte) (int, error) {
	n, err := l.Buffer.Write(p)
	if strings.Contains(l.String(), l.text) {
		l.then()
	}
	return n, err
}

// TestLogsFollow begins before there is a group, and shows each line once though the last millisecond is read again.
func TestLogsFollow(t *testing.T) {
	replies := []string{
		`{"events":[{"eventId":"1","timestamp":9000000000000,"message":"one"}]}`,
		`{"events":[{"eventId":"1","timestamp":9000000000000,"message":"one"},{"eventId":"2","timestamp":9000000000000,"message":"two"}]}`,
		`{"events":[{"eventId":"2","timestamp":9000000000000,"message":"two"},{"eventId":"3","timestamp":9000000000001,"message":"three"}]}`,
	}
	asked := 0
	answer := func(w http.ResponseWriter, r *http.Request) {
		asked++
		if asked == 1 {
			noGroup(w, r)
			return
		}
		io.WriteString(w, replies[min(asked-2, len(replies)-1)])
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	out, errs := &lines{text: "three", then: stop}, &bytes.Buffer{}
	d := &Deps{Out: out, Err: errs, Environ: os.Environ()}
	c := clientOf(t, d, answer)
	if err := d.printLog(ctx, c, "/aws/lambda/f", "", 0, true, false); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		_, message, _ := strings.Cut(strings.TrimSpace(line), "  ")
		got = append(got, message)
	}
	if strings.Join(got, " ") != "one two three" {
		t.Errorf("got %q", got)
	}
	if strings.Count(errs.String(), "waiting for its first line") != 1 {
		t.Errorf("said %q", errs)
	}
}

// clientOf is a client of a cloud that handler answers for.
func clientOf(t *testing.T, d *Deps, handler http.HandlerFunc) *client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return d.client(Running{Endpoint: server.URL, Region: "us-east-1", Key: RootKey{AccessKeyID: "AKIA1", SecretAccessKey: "s"}})
}
