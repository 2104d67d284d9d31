package cli

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNearNames(t *testing.T) {
	have := []string{"web-dev-greet", "web-dev-tick", "hello", "web-prod-greet"}
	for name, want := range map[string][]string{
		"greet":         {"web-dev-greet", "web-prod-greet"},
		"helo":          {"hello"},
		"Hello":         {"hello"},
		"web-dev-great": {"web-dev-greet"},
		"hello-dev":     {"hello"},
		"unlike":        nil,
	} {
		if got := nearNames(name, have); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "", 3}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"ab", "ba", 2}} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q to %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

// twoFunctions answers with functions of two pages, and that it knows no other.
func twoFunctions(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != "/2015-03-31/functions/":
		w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"Message":"Function not found: as the cloud says it"}`)
	case r.URL.Query().Get("Marker") == "":
		io.WriteString(w, `{"Functions":[{"FunctionName":"web-dev-greet"}],"NextMarker":"m"}`)
	default:
		io.WriteString(w, `{"Functions":[{"FunctionName":"hello"}]}`)
	}
}

func TestUnknownFunctions(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"invoke greet", "there is no function greet in region us-east-1; did you mean web-dev-greet?"},
		{"invoke helo:live", "there is no function helo in region us-east-1; did you mean hello?"},
		{"invoke arn:aws:lambda:us-east-1:0:function:helo", "did you mean hello?"},
		{"invoke zzzzzzzz --region eu-west-1", "there is no function zzzzzzzz in region eu-west-1; lambent status lists the functions"},
		{"invoke hello -q gone", "Function not found: as the cloud says it"},
		{"logs helo", "there is no function helo in region us-east-1; did you mean hello?"},
	} {
		if code, _, errs := run(t, stub{}, twoFunctions, strings.Fields(tt.args)...); code != 1 || !strings.Contains(errs, tt.want) {
			t.Errorf("%s: code %d: %s", tt.args, code, errs)
		}
	}
	none := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/2015-03-31/functions/" {
			io.WriteString(w, `{"Functions":[]}`)
			return
		}
		twoFunctions(w, r)
	}
	if code, _, errs := run(t, stub{}, none, "invoke", "f"); code != 1 || !strings.Contains(errs, "nor any other; --region") {
		t.Errorf("code %d: %s", code, errs)
	}
}

func TestFunctionNamesAreCompleted(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"invoke we", "web-dev-greet\n:4\n"},
		{"logs h", "hello\n:4\n"},
		{"invoke hello x", ":4\n"},
	} {
		args := append([]string{"__complete"}, strings.Fields(tt.args)...)
		if code, out, errs := run(t, stub{}, twoFunctions, args...); code != 0 || out != tt.want {
			t.Errorf("%s: code %d, %q, %s", tt.args, code, out, errs)
		}
	}
	// Without a cloud there is nothing to complete, and no error in the middle of a command line.
	if code, out, _ := run(t, stub{dir: t.TempDir()}, nil, "__complete", "invoke", "h"); code != 0 || out != ":4\n" {
		t.Errorf("code %d, %q", code, out)
	}
}

func TestSince(t *testing.T) {
	now := time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"90s":                       "2026-01-10T11:58:30Z",
		"2h":                        "2026-01-10T10:00:00Z",
		"7d":                        "2026-01-03T12:00:00Z",
		"2026-01-05T10:00:00+02:00": "2026-01-05T08:00:00Z",
	} {
		var v sinceValue
		if err := v.Set(text); err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := v.at(now).UTC().Format(time.RFC3339); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"", "yesterday", "-1h", "-2d", "5", "xd", "0.5d", "99999d"} {
		if new(sinceValue).Set(text) == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
