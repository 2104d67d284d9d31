package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/gateway"
	"lambent/service"
	"lambent/service/logs"
	"lambent/service/servicetest"
	"lambent/wire/sigv4"
)

// The figures of docs/bench.md for a signed request with 1 KB of JSON: what the gateway, the signature and the codec cost
// together, beside what Go's own parts cost for the same body.

// kilobyte is a request body of 1 KB: ten lines of log.
func kilobyte() []byte {
	var events []string
	for i := range 10 {
		events = append(events, fmt.Sprintf(`{"timestamp":%d,"message":"2026-11-23T12:00:0%d.000Z INFO request %d took 12.%d ms"}`, 1795000000000+i, i, i*7919, i))
	}
	return []byte(`{"logGroupName":"/aws/lambda/hello","logStreamName":"2026/11/23/[$LATEST]0123456789abcdef","logEvents":[` + strings.Join(events, ",") + `]}`)
}

func logService() service.Service {
	put := func(context.Context, cloud.Caller, *logs.PutLogEventsInput) (*logs.PutLogEventsOutput, error) {
		return &logs.PutLogEventsOutput{NextSequenceToken: new("49590302938810")}, nil
	}
	return service.Service{
		API: &service.API{Name: "logs", ServiceID: "CloudWatch Logs", Version: "2014-03-28", Endpoint: "logs", SigningName: "logs", TargetPrefix: "Logs_20140328",
			Protocols: []service.Protocol{service.AWSJSON11}, Operations: []service.OperationModel{
				{Name: "PutLogEvents", Method: "POST", URI: "/", Input: reflect.TypeFor[logs.PutLogEventsInput](), Output: reflect.TypeFor[logs.PutLogEventsOutput]()}}},
		Operations: []service.Operation{service.Op("PutLogEvents", put)},
	}
}

// sink is a reply that nobody reads.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }

// signedKilobyte makes a request as boto3 sends it, again and again.
func signedKilobyte(b *testing.B, creds sigv4.Credentials) func() *http.Request {
	b.Helper()
	body := kilobyte()
	r := httptest.NewRequest("POST", "http://localhost:4566/", bytes.NewReader(body))
	r.Header.Set("X-Amz-Target", "Logs_20140328.PutLogEvents")
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("User-Agent", "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6 md/arch#x86_64 lang/python#3.11.7")
	r.Header.Set("Amz-Sdk-Invocation-Id", "5a0b8a5e-7c6c-4e7e-8c0d-5a4a3a2a1a0a")
	r.Header.Set("Amz-Sdk-Request", "attempt=1")
	if err := sigv4.Sign(r, creds, "us-east-1", "logs", time.Now()); err != nil {
		b.Fatal(err)
	}
	return func() *http.Request {
		again := *r
		again.Body, again.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		return &again
	}
}

// measured runs a loop and reports the processor time that it took, of all threads: a busy machine does not spoil that.
func measured(b *testing.B, loop func()) {
	b.Helper()
	b.ReportAllocs()
	before := processorTime(b)
	loop()
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N)/1000, "cpu-µs/op")
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkKilobyte(b *testing.B) {
	b.Run("gateway", func(b *testing.B) {
		c := servicetest.NewWith(b, gateway.Config{Services: []service.Service{logService()}, Log: slog.New(slog.NewJSONHandler(io.Discard, nil))})
		next := signedKilobyte(b, c.Credentials)
		measured(b, func() {
			for b.Loop() {
				w := &sink{header: http.Header{}}
				if c.Gateway.ServeHTTP(w, next()); w.status != 200 {
					b.Fatal(w.status)
				}
			}
		})
	})
	b.Run("encoding-json", func(b *testing.B) {
		body := kilobyte()
		measured(b, func() {
			for b.Loop() {
				var in struct {
					LogGroupName, LogStreamName *string
					LogEvents                   []struct {
						Timestamp *int64
						Message   *string
					}
				}
				if err := json.Unmarshal(body, &in); err != nil {
					b.Fatal(err)
				}
				if _, err := json.Marshal(struct{ NextSequenceToken string }{"49590302938810"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	b.Run("net-http", func(b *testing.B) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, `{"nextSequenceToken":"49590302938810"}`)
		}))
		defer server.Close()
		body := kilobyte()
		measured(b, func() {
			for b.Loop() {
				resp, err := server.Client().Post(server.URL, "application/x-amz-json-1.1", bytes.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	})
}
