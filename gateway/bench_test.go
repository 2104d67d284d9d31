package gateway_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"lambent/gateway"
	"lambent/service/servicetest"
	"lambent/wire/sigv4"
)

// BenchmarkGateway is the gateway's own cost of a small signed request: signature, codec, log, measurement.
func BenchmarkGateway(b *testing.B) {
	c := servicetest.NewWith(b, gateway.Config{Services: testServices(), Log: slog.New(slog.NewJSONHandler(io.Discard, nil))})
	const body = `{"Name":"hello"}`
	r, _ := http.NewRequest("POST", "http://localhost/", strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "Table_1.Say")
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("User-Agent", "Boto3/1.43.11 md/Botocore#1.43.11 ua/2.1 os/linux#6 md/arch#x86_64 lang/python#3.11.7")
	r.Header.Set("Amz-Sdk-Invocation-Id", "5a0b8a5e-7c6c-4e7e-8c0d-5a4a3a2a1a0a")
	if err := sigv4.Sign(r, c.Credentials, "us-east-1", "table", time.Now()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		in := httptest.NewRequest("POST", "/", strings.NewReader(body))
		in.Header, in.Host, in.ContentLength = r.Header, "localhost", int64(len(body))
		w := httptest.NewRecorder()
		c.Gateway.ServeHTTP(w, in)
		if w.Code != 200 {
			b.Fatal(w.Body)
		}
	}
}
