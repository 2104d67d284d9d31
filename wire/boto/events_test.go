package boto_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"lambent/cloud"
	"lambent/gateway"
	"lambent/service"
)

// echoText answers each text of a conversation as it comes, and ends with an exception when it is told to.
func echoText(_ context.Context, _ cloud.Caller, in *Lexv2_runtimeStartConversationInput) (*Lexv2_runtimeStartConversationOutput, error) {
	type response = Lexv2_runtimeStartConversationResponseEventStream
	return &Lexv2_runtimeStartConversationOutput{ResponseEventStream: func(yield func(*response, error) bool) {
		for event, err := range in.RequestEventStream {
			switch {
			case err != nil:
				yield(nil, err)
				return
			case event.TextInputEvent == nil:
				continue
			case *event.TextInputEvent.Text == "fail":
				yield(nil, cloud.Faultf("ConflictException", "as you like"))
				return
			}
			text := *event.TextInputEvent.Text + " from " + *in.SessionId
			if !yield(&response{TextResponseEvent: &Lexv2_runtimeTextResponseEvent{EventId: &text}}, nil) {
				return
			}
		}
	}}, nil
}

// TestJavaScriptEvents lets the AWS SDK for JavaScript send and receive events over one HTTP/2 stream: boto3 has no
// operations that send them. The SDK signs each event, and says the next thing only when it has been answered.
func TestJavaScriptEvents(t *testing.T) {
	clients(t)
	s := &stubs{}
	services := s.services()
	for i := range services {
		for j, op := range services[i].Operations {
			if op.Name == "StartConversation" {
				services[i].Operations[j] = service.Op(op.Name, echoText)
			}
		}
	}
	g, err := gateway.New(gateway.Config{Services: services, Keys: s, Log: slog.New(slog.DiscardHandler), QuietRequests: true})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(g)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	modules, err := filepath.Abs(filepath.Join(toolsFolder(), "npm", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "events.js", server.URL)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+accessKeyID, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_REGION="+region,
		"NODE_EXTRA_CA_CERTS="+ca, "NODE_PATH="+modules, "NODE_NO_WARNINGS=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.HasSuffix(out, []byte("javascript ok\n")) {
		t.Errorf("events.js: %v\n%s", err, out)
	}
}
