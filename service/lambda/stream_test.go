package lambda_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lambent/cloud"
	"lambent/invoke/invoketest"
	"lambent/sandbox/driver"
	"lambent/service"
	"lambent/service/lambda"
)

// streamer answers in two parts, of which the second is made when more is told; kind is its content type.
func streamer(kind string, more <-chan error, first, second string) invoketest.Program {
	return func(b *invoketest.Box) driver.Exit {
		for {
			e, ok := b.Next()
			if !ok {
				return driver.Exit{}
			}
			parts := iter.Seq2[string, error](func(yield func(string, error) bool) {
				if !yield(first, nil) {
					return
				}
				if err := <-more; err != nil {
					yield("", err)
					return
				}
				yield(second, nil)
			})
			b.Stream(e.ID, kind, parts)
		}
	}
}

// TestInvokeWithResponseStream reads events while the function makes its answer.
func TestInvokeWithResponseStream(t *testing.T) {
	more := make(chan error)
	b := newBench(t)
	b.fake.Driver.Add("index.stream", streamer("text/plain", more, "one", "two"))
	b.create("f", func(in *lambda.CreateFunctionInput) { in.Handler = new("index.stream") })
	b.create("plain")
	for _, tt := range []struct {
		name string
		fail error
		want string
	}{
		{"whole", nil, "one two complete"},
		{"fails half way", errors.New("no more"), `one Unhandled {"errorMessage":"no more"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := must[lambda.InvokeWithResponseStreamOutput](b, &lambda.InvokeWithResponseStreamInput{FunctionName: new("f")})
			var seen []string
			for e, err := range out.EventStream {
				switch {
				case err != nil:
					t.Fatal(err)
				case e.PayloadChunk != nil:
					seen = append(seen, string(e.PayloadChunk.Payload))
					if len(seen) == 1 {
						more <- tt.fail // the second part is not made before the first has arrived
					}
				case e.InvokeComplete.ErrorCode != nil:
					seen = append(seen, *e.InvokeComplete.ErrorCode, *e.InvokeComplete.ErrorDetails)
				default:
					seen = append(seen, "complete")
				}
			}
			if got := strings.Join(seen, " "); got != tt.want {
				t.Errorf("events %s, want %s", got, tt.want)
			}
		})
	}
	t.Run("handler that does not stream", func(t *testing.T) {
		out := must[lambda.InvokeWithResponseStreamOutput](b, &lambda.InvokeWithResponseStreamInput{FunctionName: new("plain"), LogType: new("Tail")})
		var text, log string
		for e, err := range out.EventStream {
			if err != nil {
				t.Fatal(err)
			}
			if e.PayloadChunk != nil {
				text += string(e.PayloadChunk.Payload)
			} else {
				log = *e.InvokeComplete.LogResult
			}
		}
		if !strings.Contains(text, `"version":"$LATEST"`) || log == "" {
			t.Errorf("payload %s, log %s", text, log)
		}
	})
	t.Run("client that goes away", func(t *testing.T) {
		out := must[lambda.InvokeWithResponseStreamOutput](b, &lambda.InvokeWithResponseStreamInput{FunctionName: new("f")})
		for range out.EventStream {
			break
		}
		more <- nil // the function goes on
		b.fake.Invoker.Wait()
	})
	b.fails(&lambda.InvokeWithResponseStreamInput{FunctionName: new("nope")}, "ResourceNotFoundException", "Function not found")
}

// streamURL makes a function with a URL that streams.
func (b *bench) streamURL(name, handler string) string {
	id := b.publishURL(name, handler, "", nil)
	must[lambda.UpdateFunctionUrlConfigOutput](b, &lambda.UpdateFunctionUrlConfigInput{FunctionName: new(name), InvokeMode: new("RESPONSE_STREAM")})
	return id
}

func TestURLStream(t *testing.T) {
	const prelude = `{"statusCode":201,"headers":{"Content-Type":"text/html","X-N":5},"cookies":["a=b"]}` + "\x00\x00\x00\x00\x00\x00\x00\x00"
	more := make(chan error)
	b := newBench(t)
	b.fake.Driver.Add("index.plain", streamer("text/plain", more, "one\n", "two\n"))
	b.fake.Driver.Add("index.http", streamer("application/vnd.awslambda.http-integration-response", more, prelude+"one\n", "two\n"))
	b.fake.Driver.Add("index.bad", streamer("application/vnd.awslambda.http-integration-response", more, "no prelude", ""))
	plain, whole, bad := b.streamURL("plain", "index.plain"), b.streamURL("http", "index.http"), b.streamURL("bad", "index.bad")
	buffered := b.streamURL("buffered", "index.echo")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := b.c
		c.Anonymous = true
		b.endpoint("lambda-url").Serve(w, r, service.Published{ID: r.Header.Get("Url-Id"), Region: "us-east-1", Caller: c})
	}))
	defer server.Close()
	get := func(id string) *http.Response {
		r, _ := http.NewRequest("GET", server.URL+"/", nil)
		r.Header.Set("Url-Id", id)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	for _, tt := range []struct {
		id, kind string
		status   int
		fail     error
	}{{plain, "text/plain", 200, nil}, {whole, "text/html", 201, nil}, {plain, "text/plain", 200, errors.New("no more")}} {
		resp := get(tt.id)
		body := bufio.NewReader(resp.Body)
		first, err := body.ReadString('\n')
		if err != nil || first != "one\n" || resp.StatusCode != tt.status || resp.Header.Get("Content-Type") != tt.kind {
			t.Errorf("%d %v %q %v", resp.StatusCode, resp.Header, first, err)
		}
		more <- tt.fail
		rest, err := io.ReadAll(body)
		if tt.fail == nil && (err != nil || string(rest) != "two\n") || tt.fail != nil && err == nil {
			t.Errorf("rest %q, %v; the function's failure was %v", rest, err, tt.fail)
		}
	}
	go func() { more <- nil }()
	if resp := get(bad); resp.StatusCode != 502 {
		t.Errorf("without a prelude: %d", resp.StatusCode)
	}
	resp := get(buffered)
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || !strings.Contains(string(body), `"version":"2.0"`) {
		t.Errorf("a handler that does not stream: %d %s", resp.StatusCode, body)
	}
}

// judge is the policies of everybody: the one role that may.
type judge string

func (j judge) Authorize(_ context.Context, c cloud.Caller, action string, resources []string) error {
	if c.ARN == string(j) && action == "lambda:InvokeFunctionUrl" && strings.HasPrefix(resources[0], arn) {
		return nil
	}
	return cloud.Faultf("AccessDenied", "no")
}

func TestURLSigned(t *testing.T) {
	b := newBench(t)
	role := func(account, name string) cloud.Caller {
		c := b.c
		c.Account, c.Root, c.ARN = account, false, "arn:aws:sts::"+account+":assumed-role/"+name+"/s"
		return c
	}
	b.s.Identities = judge(role("111111111111", "may").ARN)
	id := b.publishURL("f", "index.echo", "", nil)
	must[lambda.UpdateFunctionUrlConfigOutput](b, &lambda.UpdateFunctionUrlConfigInput{FunctionName: new("f"), AuthType: new("AWS_IAM")})
	must[lambda.AddPermissionOutput](b, &lambda.AddPermissionInput{FunctionName: new("f"), StatementId: new("them"), Action: new("lambda:InvokeFunctionUrl"),
		Principal: new("222222222222"), FunctionUrlAuthType: new("AWS_IAM")})
	stranger := b.c
	stranger.Anonymous, stranger.Root = true, false
	foreignRoot := role("222222222222", "x")
	foreignRoot.Root = true
	for _, tt := range []struct {
		name   string
		c      cloud.Caller
		signed string
		want   int
	}{
		{"unsigned", stranger, "", 403},
		{"signed for another service", b.c, "s3", 403},
		{"root", b.c, "lambda", 200},
		{"role that may", role("111111111111", "may"), "lambda", 200},
		{"role that may not", role("111111111111", "not"), "lambda", 403},
		{"another account's role without a policy of its own", role("222222222222", "x"), "lambda", 403},
		{"another account's root", foreignRoot, "lambda", 200},
		{"a third account", role("333333333333", "x"), "lambda", 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			b.endpoint("lambda-url").Serve(w, httptest.NewRequest("GET", "http://x/", nil), service.Published{ID: id, Caller: tt.c, Signed: tt.signed})
			if w.Code != tt.want {
				t.Errorf("%d %s, want %d", w.Code, w.Body, tt.want)
			}
			if tt.want == 200 && !strings.Contains(w.Body.String(), `"userArn":"`+tt.c.ARN+`"`) {
				t.Errorf("event %s", w.Body)
			}
		})
	}
}
