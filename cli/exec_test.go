package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestToolEnvironment(t *testing.T) {
	r := Running{Endpoint: "http://127.0.0.1:1", Data: "/data", Region: "us-east-1", CA: "/ca.pem", Bundle: "/bundle.pem", Key: RootKey{"AKIA1", "secret"}}
	env := toolEnvironment([]string{"PATH=/bin", "AWS_PROFILE=mine", "AWS_SESSION_TOKEN=old", "AWS_ENDPOINT_URL_S3=http://other", "https_proxy=http://other", "AWS_REGION=eu-north-1", "LAMBENT_DATA=/mine"}, r, "http://127.0.0.1:2")
	for _, want := range []string{
		"PATH=/bin", "LAMBENT_DATA=/data", "AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_ACCESS_KEY_ID=AKIA1", "AWS_SECRET_ACCESS_KEY=secret", "AWS_REGION=eu-north-1",
		"AWS_DEFAULT_REGION=eu-north-1", "AWS_CA_BUNDLE=/bundle.pem", "NODE_EXTRA_CA_CERTS=/ca.pem", "HTTPS_PROXY=http://127.0.0.1:2",
	} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing in %q", want, env)
		}
	}
	for _, kv := range env {
		for _, no := range []string{"AWS_PROFILE=", "AWS_SESSION_TOKEN=", "AWS_ENDPOINT_URL_S3=", "https_proxy="} {
			if strings.HasPrefix(kv, no) {
				t.Errorf("%s leads the tool away from the cloud", kv)
			}
		}
	}
}

// greeter is a server that says its name on every connection and then what it hears.
func greeter(t *testing.T, name string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprintln(c, name)
				io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func TestProxyLeadsAWSToTheCloud(t *testing.T) {
	cloud, other := greeter(t, "cloud"), greeter(t, "other")
	p, err := startProxy(cloud)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for target, want := range map[string]string{
		"s3.amazonaws.com:443": "cloud", "lambda.eu-west-1.amazonaws.com:443": "cloud", "lambda.us-east-1.api.aws:443": "cloud", other: "other",
	} {
		c, err := net.Dial("tcp", p.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\nping\n", target)
		in := bufio.NewReader(c)
		resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %v %v", target, resp, err)
		}
		name, _ := in.ReadString('\n')
		echo, _ := in.ReadString('\n')
		if name != want+"\n" || echo != "ping\n" {
			t.Errorf("%s leads to %q, which echoes %q", target, name, echo)
		}
		c.Close()
	}
	resp, err := http.Get(p.URL())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a request that is no CONNECT: %s", resp.Status)
	}
}

func TestIsAWS(t *testing.T) {
	for host, want := range map[string]bool{
		"s3.amazonaws.com:443": true, "S3.AMAZONAWS.COM.:443": true, "amazonaws.com:443": true, "x.api.aws:443": true,
		"s3.amazonaws.com:80": false, "notamazonaws.com:443": false, "amazonaws.com.example.org:443": false, "registry.example.org:443": false, "": false,
	} {
		if got := isAWS(host); got != want {
			t.Errorf("isAWS(%q) = %v", host, got)
		}
	}
}

func TestFindSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	if _, err := find(dir); err == nil || !strings.Contains(err.Error(), "lambent serve --data "+dir) {
		t.Errorf("nothing runs: %v", err)
	}
	note := func(endpoint string, pid int) {
		b, err := json.Marshal(Running{Endpoint: endpoint, PID: pid})
		if err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{ServerFile: string(b), RootKeyFile: `{"accessKeyId":"AKIA1","secretAccessKey":"s"}`} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	there := "http://" + greeter(t, "cloud")
	note(there, os.Getpid())
	if r, err := find(dir); err != nil || r.Key.AccessKeyID != "AKIA1" {
		t.Errorf("a running one: %+v, %v", r, err)
	}
	for name, stale := range map[string]func(){
		"its process has ended":              func() { note(there, 1<<30) }, // above any process id
		"its process id is another's by now": func() { note("http://127.0.0.1:1", os.Getpid()) },
	} {
		stale()
		if _, err := find(dir); err == nil || !strings.Contains(err.Error(), "has ended; start it again with") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestShellQuote(t *testing.T) {
	for in, want := range map[string]string{"/a/b-c": "/a/b-c", "": "''", "a b": "'a b'", "it's": `'it'\''s'`} {
		if got := shellQuote(in); got != want {
			t.Errorf("shellQuote(%q) = %s, want %s", in, got, want)
		}
	}
}
