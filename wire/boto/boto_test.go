package boto_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"lambent/cloud"
	"lambent/gateway"
	"lambent/service"
	"lambent/wire/document"
	"lambent/wire/plan"
)

const region, accessKeyID, secret = "us-east-1", "AKIASTUB", "stub secret"

// TestBoto3 runs roundtrip.py, which makes up inputs and outputs at random after botocore's own models. It says of
// each operation whether input and output arrived as they were sent.
func TestBoto3(t *testing.T) {
	python := clients(t)
	s := &stubs{}
	g, err := gateway.New(gateway.Config{Services: s.services(), Keys: s, Log: slog.New(slog.DiscardHandler), QuietRequests: true})
	if err != nil {
		t.Fatal(err)
	}
	api, side := httptest.NewServer(g), httptest.NewServer(s)
	defer api.Close()
	defer side.Close()
	cmd := exec.CommandContext(t.Context(), python, "roundtrip.py", api.URL, side.URL)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+accessKeyID, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_SESSION_TOKEN=",
		"AWS_DEFAULT_REGION="+region, "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		operation, problem, _ := strings.Cut(lines.Text(), "\t")
		told[operation] = true
		if problem != "" {
			t.Errorf("%s: %s", operation, problem)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("roundtrip.py: %v", err)
	}
	for _, a := range apis() {
		for _, op := range a.Operations {
			if !told[a.Name+"."+op.Name] && !sendsEvents(op.Input) {
				t.Errorf("%s.%s was not called", a.Name, op.Name)
			}
		}
	}
	t.Logf("%d operations of %d services went both ways", len(told), len(apis()))
}

// clients returns the Python that has boto3.
func clients(t *testing.T) string {
	t.Helper()
	tools := toolsFolder()
	python, err := filepath.Abs(filepath.Join(tools, "python", "bin", "python"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(tools, ".installed")); err == nil {
		return python
	}
	if os.Getenv("CI") != "" {
		t.Fatal("boto3 is not installed: run conformance/tools/install.sh")
	}
	t.Skip("SKIPPED: boto3 is not installed; run conformance/tools/install.sh")
	return ""
}

// toolsFolder is where the tests' installer puts clients.
func toolsFolder() string {
	if tools := os.Getenv("LAMBENT_TOOLS"); tools != "" {
		return tools
	}
	return filepath.Join("..", "..", ".tools")
}

// stubs answer every operation with what they were told, and remember what they were asked. The caller of roundtrip.py
// reaches them by the side: POST tells the next output or fault, GET returns the last input, as JSON by member names; GET
// /operations lists what there is.
type stubs struct {
	mu     sync.Mutex // guards the fields below
	output map[string]any
	input  map[string]any
}

func (s *stubs) services() (list []service.Service) {
	for _, a := range apis() {
		svc := service.Service{API: a}
		for i := range a.Operations {
			op := &a.Operations[i]
			svc.Operations = append(svc.Operations, service.Operation{Name: op.Name, Handle: func(_ context.Context, _ cloud.Caller, in any) (any, error) {
				return s.answer(op, in)
			}})
		}
		list = append(list, svc)
	}
	return list
}

// Secret implements gateway.Keys.
func (*stubs) Secret(_ context.Context, id, token string) (gateway.Key, error) {
	if id != accessKeyID {
		return gateway.Key{}, nil
	}
	return gateway.Key{Secret: secret, Caller: cloud.Caller{Account: cloud.DefaultAccount, Root: true}}, nil
}

func (s *stubs) answer(op *service.OperationModel, in any) (any, error) {
	input, err := document.Encode(in)
	if err != nil {
		return nil, err
	}
	for k, v := range input {
		if r, ok := v.(io.Reader); ok {
			b, err := io.ReadAll(r)
			if err != nil {
				return nil, err
			}
			input[k] = base64.StdEncoding.EncodeToString(b)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.input = input
	if code, ok := s.output["__fault"].(string); ok {
		message, _ := s.output["message"].(string)
		return nil, &cloud.Fault{Code: code, Message: message}
	}
	return makeOutput(op.Output, s.output)
}

// makeOutput makes an output of its values, and a stream of events of a list of them.
func makeOutput(t reflect.Type, values map[string]any) (any, error) {
	out := reflect.New(t)
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		name := f.Tag.Get("name")
		if name == "" {
			name = f.Name
		}
		stream, ok := out.Elem().Field(i).Addr().Interface().(plan.EventStream)
		if !ok {
			continue
		}
		list, _ := values[name].([]any)
		delete(values, name)
		stream.Fill(func(yield func(any, error) bool) {
			for _, v := range list {
				event := reflect.New(stream.EventType()).Interface()
				if !yield(event, document.Decode(v.(map[string]any), event, document.Options{})) {
					return
				}
			}
		})
	}
	return out.Interface(), document.Decode(values, out.Interface(), document.Options{})
}

// ServeHTTP is the side entrance.
func (s *stubs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodGet {
		var reply any = s.input
		if r.URL.Path == "/operations" {
			reply = operations()
		}
		if err := json.NewEncoder(w).Encode(reply); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
		return
	}
	d := json.NewDecoder(r.Body)
	d.UseNumber()
	s.input, s.output = nil, nil
	if err := d.Decode(&s.output); err != nil {
		http.Error(w, fmt.Sprint(err), http.StatusBadRequest)
	}
}

// operations lists the names of operations by service, those that boto3 has.
func operations() map[string][]string {
	list := map[string][]string{}
	for _, a := range apis() {
		for _, op := range a.Operations {
			if !sendsEvents(op.Input) {
				list[a.Name] = append(list[a.Name], op.Name)
			}
		}
	}
	return list
}

// sendsEvents tells whether an input has a stream of events, which boto3 can not send.
func sendsEvents(input reflect.Type) bool {
	for f := range input.Fields() {
		if _, ok := reflect.New(f.Type).Interface().(plan.EventStream); ok {
			return true
		}
	}
	return false
}
