package otlp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"lambent/trace"
	"lambent/trace/otlp"
)

// A collector reads what comes with the OpenTelemetry Collector's own reader.
type collector struct {
	t *testing.T

	mu      sync.Mutex
	refuse  []int // statuses to answer with first
	traces  []ptrace.Traces
	metrics []pmetric.Metrics
	header  http.Header
}

func (c *collector) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w := httptest.NewRecorder()
	if len(c.refuse) > 0 {
		status := c.refuse[0]
		c.refuse = c.refuse[1:]
		if status == 0 {
			return nil, errors.New("connection refused")
		}
		w.WriteHeader(status)
		return w.Result(), nil
	}
	c.header = r.Header
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		c.t.Error(err)
		return nil, err
	}
	body, err := io.ReadAll(z)
	if err != nil {
		c.t.Error(err)
	}
	switch r.URL.String() {
	case "http://collector:4318/v1/traces":
		req := ptraceotlp.NewExportRequest()
		if err := req.UnmarshalJSON(body); err != nil {
			c.t.Errorf("%.300v", err)
		}
		c.traces = append(c.traces, req.Traces())
	case "http://collector:4318/v1/metrics":
		req := pmetricotlp.NewExportRequest()
		if err := req.UnmarshalJSON(body); err != nil {
			c.t.Errorf("%.300v", err)
		}
		c.metrics = append(c.metrics, req.Metrics())
	default:
		c.t.Errorf("sent to %s", r.URL)
	}
	return w.Result(), nil
}

func (c *collector) open(config otlp.Config) *otlp.Exporter {
	c.t.Helper()
	config.Endpoint, config.Client = "http://collector:4318/", &http.Client{Transport: c}
	e, err := otlp.New(config)
	if err != nil {
		c.t.Fatal(err)
	}
	return e
}

func TestSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &collector{t: t}
		e := c.open(otlp.Config{Version: "1.2", Instance: "here", Headers: map[string]string{"Authorization": "Bearer x"}})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- e.Run(ctx) }()

		tracer := trace.New(e.Keep, 1)
		in, root := tracer.Root(t.Context(), "s3 PutObject", trace.Server, trace.Parent{})
		_, part := trace.Start(in, "store update")
		part.Set("text", "a\"b")
		part.Set("yes", true)
		part.Set("n", int64(-7))
		part.Set("share", 0.5)
		part.Event("retry", trace.Attribute{Key: "attempt", Value: 2})
		time.Sleep(3 * time.Millisecond)
		part.End(errors.New("conflict"))
		root.End(nil)
		time.Sleep(2 * time.Second)

		if len(c.traces) != 1 || c.traces[0].SpanCount() != 2 {
			t.Fatalf("%d documents", len(c.traces))
		}
		r := c.traces[0].ResourceSpans().At(0)
		if name, _ := r.Resource().Attributes().Get("service.name"); name.Str() != "lambent" {
			t.Errorf("resource = %v", r.Resource().Attributes().AsRaw())
		}
		if s := r.ScopeSpans().At(0).Scope(); s.Name() != "lambent" || s.Version() != "1.2" {
			t.Errorf("scope = %s %s", s.Name(), s.Version())
		}
		p, q := r.ScopeSpans().At(0).Spans().At(0), r.ScopeSpans().At(0).Spans().At(1)
		if p.Name() != "store update" || p.ParentSpanID() != q.SpanID() || p.TraceID() != q.TraceID() || q.TraceID().IsEmpty() || !q.ParentSpanID().IsEmpty() {
			t.Errorf("spans = %v %v", p, q)
		}
		if p.Kind() != ptrace.SpanKindInternal || q.Kind() != ptrace.SpanKindServer || p.Status().Code() != ptrace.StatusCodeError ||
			p.Status().Message() != "conflict" || q.Status().Code() != ptrace.StatusCodeUnset {
			t.Errorf("kinds and statuses: %v %v %v %v", p.Kind(), q.Kind(), p.Status(), q.Status())
		}
		if took := p.EndTimestamp().AsTime().Sub(p.StartTimestamp().AsTime()); took != 3*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		want := map[string]any{"text": "a\"b", "yes": true, "n": int64(-7), "share": 0.5}
		for k, v := range p.Attributes().All() {
			if v.AsRaw() != want[k] {
				t.Errorf("attribute %s = %v", k, v.AsRaw())
			}
		}
		if n, _ := p.Events().At(0).Attributes().Get("attempt"); p.Attributes().Len() != len(want) || p.Events().At(0).Name() != "retry" || n.Int() != 2 {
			t.Errorf("attributes or events: %v", p.Attributes().AsRaw())
		}
		if c.header.Get("Authorization") != "Bearer x" || c.header.Get("Content-Type") != "application/json" {
			t.Errorf("header = %v", c.header)
		}

		_, last := tracer.Root(t.Context(), "at the end", trace.Internal, trace.Parent{})
		last.End(nil)
		synctest.Wait() // Run has it and waits for more
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(c.traces) != 2 {
			t.Error("what was left was not sent at the end")
		}
		if got := e.Counts(); got != (otlp.Counts{Sent: 3}) {
			t.Errorf("counts = %+v", got)
		}
	})
}

// TestRefusals: what may succeed later is tried again, what will not is dropped, and the log hears of it once.
func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		name   string
		refuse []int
		want   otlp.Counts
		log    string
	}{
		{"busy", []int{503, 0, 429}, otlp.Counts{Sent: 1, Failed: 3}, ""},
		{"gone", []int{0, 0, 0, 0}, otlp.Counts{Dropped: 1, Failed: 4}, "connection refused"},
		{"bad", []int{400}, otlp.Counts{Dropped: 1, Failed: 1}, "400 Bad Request"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &collector{t: t, refuse: tt.refuse}
				var log bytes.Buffer
				e := c.open(otlp.Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- e.Run(ctx) }()
				e.Keep(trace.Data{Name: "x", Start: time.Now(), End: time.Now()})
				time.Sleep(time.Minute)
				if got := e.Counts(); got != tt.want {
					t.Errorf("counts = %+v, want %+v", got, tt.want)
				}
				stop()
				<-ended
				if (tt.log == "") != (log.Len() == 0) || !strings.Contains(log.String(), tt.log) || strings.Count(log.String(), "\n") > 1 {
					t.Errorf("log = %q", log.String())
				}
			})
		})
	}
}

func TestFullQueue(t *testing.T) {
	c := &collector{t: t}
	e := c.open(otlp.Config{})
	for range 5000 {
		e.Keep(trace.Data{Name: "x", Start: time.Now(), End: time.Now()})
	}
	if got := e.Counts().Dropped; got != 5000-4096 {
		t.Errorf("%d were dropped", got)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := e.Run(ctx); err != nil || e.Counts().Sent+e.Counts().Dropped != 5000 {
		t.Errorf("%v, counts = %+v", err, e.Counts())
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "A counter."}, []string{"kind"})
	counter.WithLabelValues("a").Add(2)
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "g"})
	gauge.Set(-1.5)
	histogram := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Buckets: []float64{1, 2}})
	for _, v := range []float64{0.5, 1.5, 1.6, 9} {
		histogram.Observe(v)
	}
	summary := prometheus.NewSummary(prometheus.SummaryOpts{Name: "s", Objectives: map[float64]float64{0.5: 0.1}})
	summary.Observe(4)
	registry.MustRegister(counter, gauge, histogram, summary)

	synctest.Test(t, func(t *testing.T) {
		c := &collector{t: t}
		e := c.open(otlp.Config{Metrics: registry})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- e.Run(ctx) }()
		time.Sleep(61 * time.Second)
		stop()
		<-ended
		if len(c.metrics) != 2 { // one a minute, and one at the end
			t.Fatalf("%d documents", len(c.metrics))
		}
		all := c.metrics[0].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
		if all.Len() != 4 {
			t.Fatalf("%d metrics", all.Len())
		}
		sum := all.At(0).Sum()
		if kind, _ := sum.DataPoints().At(0).Attributes().Get("kind"); all.At(0).Name() != "c_total" || all.At(0).Description() != "A counter." ||
			!sum.IsMonotonic() || sum.AggregationTemporality() != pmetric.AggregationTemporalityCumulative ||
			sum.DataPoints().At(0).DoubleValue() != 2 || kind.Str() != "a" || sum.DataPoints().At(0).StartTimestamp() == 0 {
			t.Errorf("sum = %v", sum)
		}
		if got := all.At(1).Gauge().DataPoints().At(0).DoubleValue(); got != -1.5 {
			t.Errorf("gauge = %v", got)
		}
		h := all.At(2).Histogram().DataPoints().At(0)
		if h.Count() != 4 || h.Sum() != 12.6 || h.BucketCounts().Len() != 3 || h.BucketCounts().At(1) != 2 || h.BucketCounts().At(2) != 1 || h.ExplicitBounds().At(1) != 2 {
			t.Errorf("histogram = %v", h)
		}
		if s := all.At(3).Summary().DataPoints().At(0); s.Count() != 1 || s.QuantileValues().At(0).Value() != 4 {
			t.Errorf("summary = %v", s)
		}
	})
}

func TestBadEndpoint(t *testing.T) {
	for _, endpoint := range []string{"", "collector:4318", "grpc://collector", "http://"} {
		if _, err := otlp.New(otlp.Config{Endpoint: endpoint}); err == nil {
			t.Errorf("%q is taken", endpoint)
		}
	}
}
