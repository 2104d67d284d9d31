// Package servicetest drives operations of services as clients do: request bytes go in, are signed, pass
// the real gateway with its codecs, checks and permission hook, and reply bytes come out. Nothing listens
// on a port.
//
// A service's tests give New the service over memory stores:
//
//	client := servicetest.New(t, logs.New(kvtest.Mem(t)).Service())
//	reply := client.JSON("Logs_20140328.CreateLogGroup", `{"logGroupName":"/a"}`)
//
// or keep whole conversations in testdata, see Run.
package servicetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/gateway"
	"lambent/service"
	"lambent/wire/sigv4"
)

// Region is where a Client asks unless told otherwise.
const Region = "us-east-1"

// A Client signs requests and hands them to a gateway. Its fields may be changed between requests.
type Client struct {
	Gateway     *gateway.Gateway
	Credentials sigv4.Credentials // root's at first; no AccessKeyID: requests are not signed
	Region      string
	Host        string

	t    testing.TB
	keys *keys
}

// New returns a client of a gateway with the given services, for account 000000000000.
func New(t testing.TB, services ...service.Service) *Client {
	t.Helper()
	return NewWith(t, gateway.Config{Services: services})
}

// NewWith returns a client of a gateway made of c, in which Keys and Log may be left out.
func NewWith(t testing.TB, c gateway.Config) *Client {
	t.Helper()
	k := &keys{known: map[string]gateway.Key{}}
	if c.Keys == nil {
		c.Keys = k
	}
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelError}))
	}
	g, err := gateway.New(c)
	if err != nil {
		t.Fatal(err)
	}
	client := &Client{Gateway: g, Region: Region, Host: "localhost:4566", t: t, keys: k}
	client.Credentials = client.Key(cloud.Caller{
		Account: cloud.DefaultAccount, ARN: "arn:aws:iam::" + cloud.DefaultAccount + ":root", UserID: cloud.DefaultAccount, Root: true,
	})
	return client
}

// Key makes an access key of the caller. It works only where the Config had no Keys of its own.
func (c *Client) Key(who cloud.Caller) sigv4.Credentials {
	return c.keys.add(who)
}

// As returns a client of the same gateway that asks as somebody else.
func (c *Client) As(who cloud.Caller) *Client {
	other := *c
	other.Credentials = c.Key(who)
	return &other
}

// Do signs the request for the service of the credential scope and returns the gateway's reply.
func (c *Client) Do(signing string, r *http.Request) *Reply {
	c.t.Helper()
	if r.Host == "" || r.Host == "example.com" {
		r.Host = c.Host
	}
	if c.Credentials.AccessKeyID != "" {
		if err := sigv4.Sign(r, c.Credentials, c.Region, signing, time.Now()); err != nil {
			c.t.Fatal(err)
		}
	}
	return c.send(r)
}

// Prepared sends a request as it is: signed by the caller, or not.
func (c *Client) Prepared(r *http.Request) *Reply {
	c.t.Helper()
	return c.send(r)
}

// send serves the request, read anew as a server would.
func (c *Client) send(r *http.Request) *Reply {
	in := httptest.NewRequest(r.Method, r.URL.RequestURI(), r.Body)
	in.Host, in.Header, in.ContentLength, in.RemoteAddr = r.Host, r.Header, r.ContentLength, "127.0.0.1:9"
	rec := httptest.NewRecorder()
	c.Gateway.ServeHTTP(rec, in)
	res := rec.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return &Reply{Status: res.StatusCode, Header: res.Header, Body: body}
}

// A Reply is what came back.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON calls an awsJson operation by its target, "Prefix.Operation". The scope's service is asked of
// signing where it is given, else it is the target's first word in lower case ("Logs_20140328" is logs).
func (c *Client) JSON(target, body string, signing ...string) *Reply {
	c.t.Helper()
	r := c.request("POST", "/", body)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", target)
	name, _, _ := strings.Cut(target, ".")
	name, _, _ = strings.Cut(name, "_")
	name = strings.ToLower(name)
	if len(signing) > 0 {
		name = signing[0]
	}
	return c.Do(name, r)
}

// Query calls an awsQuery operation with the parameters, among them Action and Version.
func (c *Client) Query(signing string, parameters url.Values) *Reply {
	c.t.Helper()
	r := c.request("POST", "/", parameters.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return c.Do(signing, r)
}

// REST sends a request with a path and query string. Headers come as "Name: value".
func (c *Client) REST(signing, method, target, body string, headers ...string) *Reply {
	c.t.Helper()
	r := c.request(method, target, body)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		r.Header.Add(name, strings.TrimSpace(value))
	}
	return c.Do(signing, r)
}

func (c *Client) request(method, target, body string) *http.Request {
	c.t.Helper()
	r, err := http.NewRequest(method, "http://"+c.Host+target, bytes.NewReader([]byte(body)))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Host = c.Host
	return r
}

// keys are the access keys of a test.
type keys struct {
	mu    sync.Mutex // guards the fields below
	known map[string]gateway.Key
}

func (k *keys) add(who cloud.Caller) sigv4.Credentials {
	k.mu.Lock()
	defer k.mu.Unlock()
	creds := sigv4.Credentials{AccessKeyID: fmt.Sprintf("AKIATEST%08d", len(k.known)), SecretAccessKey: "test secret"}
	k.known[creds.AccessKeyID] = gateway.Key{Secret: creds.SecretAccessKey, Caller: who}
	return creds
}

// Secret implements gateway.Keys.
func (k *keys) Secret(_ context.Context, id, token string) (gateway.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.known[id]
	if ok && token != "" {
		return gateway.Key{}, gateway.ErrToken
	}
	return key, nil
}

// testLog writes the gateway's log into the test's.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", bytes.TrimSpace(p))
	return len(p), nil
}
