package app

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"lambent/cli"
	"lambent/wire/sigv4"
)

// TestTraces follows a request through the rooms to a collector: its span, the service's, the store's.
func TestTraces(t *testing.T) {
	var mu sync.Mutex
	names := map[string]string{} // of the spans, by path from the root
	metrics := 0
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("X-Key") != "k=1" {
			t.Errorf("header = %v", r.Header)
		}
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body, err := io.ReadAll(z)
		if err != nil {
			t.Error(err)
		}
		if r.URL.Path == "/v1/metrics" {
			req := pmetricotlp.NewExportRequest()
			if err := req.UnmarshalJSON(body); err != nil {
				t.Errorf("%.300v", err)
			}
			metrics += req.Metrics().MetricCount()
			return
		}
		req := ptraceotlp.NewExportRequest()
		if err := req.UnmarshalJSON(body); err != nil {
			t.Errorf("%.300v", err)
			return
		}
		spans := req.Traces().ResourceSpans().At(0).ScopeSpans().At(0).Spans()
		byID := map[string]string{}
		for i := range spans.Len() { // a span ends before the one that it is part of
			s := spans.At(spans.Len() - 1 - i)
			path := s.Name()
			if parent, ok := byID[s.ParentSpanID().String()]; ok {
				path = parent + " > " + path
			}
			byID[s.SpanID().String()] = path
			names[path] = s.TraceID().String()
		}
	}))
	defer collector.Close()

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	l, err := Load(cli.FlagValues{"memory": "true", "listen": "127.0.0.1:0", "data": t.TempDir(), "otlp": collector.URL, "otlp-headers": "X-Key=k=1"}, environment(nil), "")
	if err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan cli.Running, 1), make(chan error, 1)
	go func() { ended <- Run(ctx, &l.Config, io.Discard, func(r cli.Running) { ready <- r }) }()
	var r cli.Running
	select {
	case r = <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	req, err := http.NewRequest("PUT", r.Endpoint+"/bucket", nil)
	if err != nil {
		t.Fatal(err)
	}
	const foreign = "4bf92f3577b34da6a3ce929d0e0e4736"
	req.Header.Set("Traceparent", "00-"+foreign+"-00f067aa0ba902b7-01")
	key := sigv4.Credentials{AccessKeyID: r.Key.AccessKeyID, SecretAccessKey: r.Key.SecretAccessKey}
	if err := sigv4.Sign(req, key, "us-east-1", "s3", time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	stop() // what is left is sent at the end
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	const want = "s3 CreateBucket > handle > store update"
	if names[want] != foreign {
		t.Errorf("no %q of the caller's trace among %v", want, names)
	}
	if metrics < 30 {
		t.Errorf("%d metrics", metrics)
	}
}

func TestBadObservation(t *testing.T) {
	refuse(t, cli.FlagValues{"memory": "true", "listen": "127.0.0.1:0", "data": t.TempDir(), "otlp": "collector:4318"}, "--otlp", "http://HOST:4318")
	refuse(t, cli.FlagValues{"memory": "true", "listen": "127.0.0.1:0", "data": t.TempDir(), "otlp": "http://127.0.0.1:1", "otlp-headers": "x"}, "--otlp-headers", "name=value")
	refuse(t, cli.FlagValues{"memory": "true", "listen": "127.0.0.1:0", "data": t.TempDir(), "pprof": "0.0.0.0:0"}, "--pprof", "this machine only")
}

// TestProfiles: Go's profiles are there for those who ask for them.
func TestProfiles(t *testing.T) {
	p := &cloudParts{config: &Config{Pprof: "127.0.0.1:0"}, log: newLog(&Config{LogLevel: "info"}, io.Discard)}
	var said strings.Builder
	p.log = newLog(&Config{LogLevel: "info"}, &said)
	if err := p.openProfiles(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.running[0].run(ctx) }()
	_, rest, _ := strings.Cut(said.String(), `"url":"`)
	url, _, _ := strings.Cut(rest, `"`)
	resp, err := http.Get(url + "goroutine?debug=1")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), "goroutine profile") {
		t.Errorf("%d %.100s %v", resp.StatusCode, body, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !slices.ContainsFunc(settings, func(s setting) bool { return s.name == "pprof" && s.def == "" }) {
		t.Error("profiles are on by default")
	}
}
