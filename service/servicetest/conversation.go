package servicetest

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lambent/service"
)

// Run plays the conversations in the files that pattern matches ("testdata/*.txtar"), each with services
// of its own made by newServices. A file is a txtar archive of requests and replies in turn:
//
//	-- request sts --
//	POST / HTTP/1.1
//	Content-Type: application/x-www-form-urlencoded
//
//	Action=GetCallerIdentity&Version=2011-06-15
//	-- reply --
//	200
//	Content-Type: text/xml
//
//	<GetCallerIdentityResponse …
//
// The word after "request" is the service to sign for; without it the request is not signed. Values that
// differ from run to run stand as words: see Reply.Text. With rewrite the replies are written anew
// instead of compared.
func Run(t *testing.T, pattern string, rewrite bool, newServices func(testing.TB) []service.Service) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no conversations in %s (%v)", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			play(t, file, rewrite, New(t, newServices(t)...))
		})
	}
}

func play(t *testing.T, file string, rewrite bool, c *Client) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	comment, sections := parseArchive(string(text))
	var got string
	for i := range sections {
		s := &sections[i]
		kind, signing, _ := strings.Cut(s.name, " ")
		switch kind {
		case "request":
			got = c.Raw(signing, s.text).Text()
		case "reply":
			if rewrite {
				s.text = got
			} else if got != s.text {
				t.Fatalf("%s: section %d\n--- got\n%s\n--- want\n%s", file, i+1, got, s.text)
			}
		default:
			t.Fatalf("%s: section %d is neither a request nor a reply: %q", file, i+1, s.name)
		}
	}
	if rewrite {
		if err := os.WriteFile(file, []byte(formatArchive(comment, sections)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Raw sends a request that is given as text: request line, headers, an empty line and the body, whose
// last line end does not belong to it. Host and Content-Length need not be there.
func (c *Client) Raw(signing, text string) *Reply {
	c.t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	body = strings.TrimSuffix(body, "\n")
	head = strings.ReplaceAll(strings.TrimSpace(head), "\n", "\r\n") + "\r\n"
	if !strings.Contains(strings.ToLower(head), "\r\nhost:") {
		head += "Host: " + c.Host + "\r\n"
	}
	head += fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body))
	parsed, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + body)))
	if err != nil {
		c.t.Fatalf("request: %v\n%s", err, text)
	}
	content, err := io.ReadAll(parsed.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	r := c.request(parsed.Method, parsed.URL.RequestURI(), string(content))
	r.Host, r.Header = parsed.Host, parsed.Header
	if signing == "" {
		return c.send(r)
	}
	return c.Do(signing, r)
}

// Text shows a reply: the status, the headers that say something about it in alphabetical order, an
// empty line, and the body with the request's ids replaced by REQUEST-ID and HOST-ID.
func (r *Reply) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", r.Status)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		switch name {
		case "Content-Length", "Date", "Server", "X-Amzn-Requestid", "X-Amz-Request-Id", "X-Amz-Id-2":
			continue
		}
		for _, value := range r.Header[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	body := string(r.Body)
	for header, word := range map[string]string{"X-Amzn-Requestid": "REQUEST-ID", "X-Amz-Request-Id": "REQUEST-ID", "X-Amz-Id-2": "HOST-ID"} {
		if id := r.Header.Get(header); id != "" {
			body = strings.ReplaceAll(body, id, word)
		}
	}
	b.WriteString("\n" + body)
	if !strings.HasSuffix(body, "\n") {
		b.WriteString("\n")
	}
	return b.String()
}
