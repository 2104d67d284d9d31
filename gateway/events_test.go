package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/service"
	"lambent/service/servicetest"
	"lambent/wire/eventstream"
	"lambent/wire/sigv4"
)

type (
	talkInput  struct{ Talk service.Events[word] }
	talkOutput struct{ Talk service.Events[word] }
	word       struct {
		_    struct{} `union:""`
		Word *spoken
	}
	spoken struct {
		Text []byte `in:"eventpayload"`
	}
)

// answerBack says every word of the client again, louder, as soon as it has come.
func answerBack(_ context.Context, _ cloud.Caller, in *talkInput) (*talkOutput, error) {
	return &talkOutput{Talk: func(yield func(*word, error) bool) {
		for w, err := range in.Talk {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(&word{Word: &spoken{Text: bytes.ToUpper(w.Word.Text)}}, nil) {
				return
			}
		}
	}}, nil
}

func talkService() service.Service {
	return service.Service{
		API: &service.API{Name: "talks", ServiceID: "Talks", Version: "1", Endpoint: "talks", SigningName: "talks", Protocols: []service.Protocol{service.RestJSON},
			Operations: []service.OperationModel{{Name: "Talk", Method: "POST", URI: "/2026-01-01/talk",
				Input: reflect.TypeFor[talkInput](), Output: reflect.TypeFor[talkOutput]()}}},
		Operations: []service.Operation{service.Op("Talk", answerBack)},
	}
}

// A talker is a client that sends signed events while it reads those of the reply.
type talker struct {
	t     *testing.T
	chain *sigv4.EventChain
	to    *io.PipeWriter
	reply *http.Response
}

var signatureForm = regexp.MustCompile(`Signature=([0-9a-f]+)`)

// talk begins a request.
func talk(t *testing.T, server *httptest.Server, creds sigv4.Credentials) *talker {
	t.Helper()
	from, to := io.Pipe()
	r, err := http.NewRequest("POST", server.URL+"/2026-01-01/talk", from)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Content-Sha256", sigv4.StreamingEvents)
	r.Header.Set("Content-Type", "application/vnd.amazon.eventstream")
	if err := sigv4.Sign(r, creds, "us-east-1", "talks", time.Now()); err != nil {
		t.Fatal(err)
	}
	signature := signatureForm.FindStringSubmatch(r.Header.Get("Authorization"))[1]
	reply, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { to.Close(); reply.Body.Close() })
	return &talker{t, sigv4.NewEventChain(signature, creds.SecretAccessKey, "us-east-1", "talks"), to, reply}
}

// say sends a word, and an end where it is empty.
func (c *talker) say(text string, spoil func(signature []byte)) {
	c.t.Helper()
	var inner []byte
	var err error
	if text != "" {
		inner, err = eventstream.Append(nil, &eventstream.Message{Payload: []byte(text), Headers: []eventstream.Header{
			{Name: ":message-type", Value: "event"}, {Name: ":event-type", Value: "Word"}}})
		if err != nil {
			c.t.Fatal(err)
		}
	}
	date := time.Now().UTC().Truncate(time.Millisecond)
	headers, err := eventstream.AppendHeaders(nil, []eventstream.Header{{Name: ":date", Value: date}})
	if err != nil {
		c.t.Fatal(err)
	}
	signature := c.chain.Sign(date, headers, inner)
	if spoil != nil {
		spoil(signature)
	}
	outer, err := eventstream.Append(nil, &eventstream.Message{Payload: inner, Headers: []eventstream.Header{
		{Name: ":date", Value: date}, {Name: ":chunk-signature", Value: signature}}})
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.to.Write(outer); err != nil {
		c.t.Fatal(err)
	}
}

func (c *talker) hear() *eventstream.Message {
	c.t.Helper()
	m, err := eventstream.Read(c.reply.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// Events go both ways at once: each answer is read before the next word is said.
func TestEventsBothWays(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP2=%v", secure), func(t *testing.T) { eventsBothWays(t, secure) })
	}
}

func eventsBothWays(t *testing.T, secure bool) {
	c := servicetest.New(t, talkService())
	server := httptest.NewUnstartedServer(c.Gateway)
	if server.EnableHTTP2 = secure; secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	defer server.Close()
	client := talk(t, server, c.Credentials)
	if (client.reply.ProtoMajor == 2) != secure {
		t.Fatalf("the reply came over %s", client.reply.Proto)
	}
	if client.reply.StatusCode != 200 || client.reply.Header.Get("Content-Type") != "application/vnd.amazon.eventstream" {
		t.Fatalf("%d %v", client.reply.StatusCode, client.reply.Header)
	}
	for _, text := range []string{"one", "two", "three"} {
		client.say(text, nil)
		if got := client.hear(); string(got.Payload) != strings.ToUpper(text) {
			t.Errorf("%q was answered with %q", text, got.Payload)
		}
	}
	client.say("", nil)
	if m, err := eventstream.Read(client.reply.Body); err != io.EOF {
		t.Errorf("after the end: %v, %v", m, err)
	}
}

// A wrong signature, and an end that was not signed, end the stream with an error.
func TestEventsRefused(t *testing.T) {
	c := servicetest.New(t, talkService())
	server := httptest.NewServer(c.Gateway)
	defer server.Close()
	for name, tt := range map[string]struct {
		last func(*talker)
		code string
	}{
		"wrong signature": {func(c *talker) { c.say("two", func(s []byte) { s[0] ^= 1 }) }, "InvalidSignatureException"},
		"cut off":         {func(c *talker) { c.to.Close() }, "SerializationException"},
	} {
		client := talk(t, server, c.Credentials)
		client.say("one", nil)
		client.hear()
		tt.last(client)
		m := client.hear()
		if kind, _ := m.Text(":message-type"); kind != "error" {
			t.Errorf("%s: %v", name, m)
		}
		if code, _ := m.Text(":error-code"); code != tt.code {
			t.Errorf("%s: code %s, want %s", name, code, tt.code)
		}
		if _, err := eventstream.Read(client.reply.Body); err != io.EOF {
			t.Errorf("%s: the stream goes on: %v", name, err)
		}
	}
}
