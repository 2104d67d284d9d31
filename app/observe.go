package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lambent/invoke"
	"lambent/trace"
	"lambent/trace/otlp"
)

// openTraces sends traces and metrics to the collector that the configuration names, if it names one.
func (p *cloudParts) openTraces() error {
	if p.config.OTLP == "" {
		return nil
	}
	headers, err := parseHeaders(p.config.OTLPHeaders)
	if err != nil {
		return err
	}
	host, _ := os.Hostname() // without one the process number tells it from its neighbours
	exporter, err := otlp.New(otlp.Config{
		Endpoint: p.config.OTLP, Headers: headers, Version: Version, Instance: fmt.Sprintf("%s:%d", host, os.Getpid()),
		Metrics: p.registry, Log: p.log,
	})
	if err != nil {
		return fmt.Errorf("--otlp: %w", err)
	}
	p.exporter, p.tracer = exporter, trace.New(exporter.Keep, p.config.TraceShare)
	p.background("traces", exporter.Run)
	return nil
}

// parseHeaders reads "name=value,name=value".
func parseHeaders(s string) (map[string]string, error) {
	headers := map[string]string{}
	for part := range strings.SplitSeq(s, ",") {
		if part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, errors.New("--otlp-headers is not of the form name=value,name=value")
		}
		headers[name] = strings.TrimSpace(value)
	}
	return headers, nil
}

// openProfiles serves Go's profiles where the configuration says: on this machine only, since they show everything.
func (p *cloudParts) openProfiles() error {
	if p.config.Pprof == "" {
		return nil
	}
	l, err := net.Listen("tcp", p.config.Pprof)
	if err != nil {
		return fmt.Errorf("--pprof: %w", err)
	}
	if ip, ok := l.Addr().(*net.TCPAddr); !ok || !ip.IP.IsLoopback() {
		return errors.Join(fmt.Errorf("--pprof %s: profiles are served to this machine only; use 127.0.0.1:PORT", p.config.Pprof), l.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	p.log.Info("profiles", "url", "http://"+l.Addr().String()+"/debug/pprof/")
	p.background("profiles", func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer stop()
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	return nil
}

// exporterMetrics shows what becomes of the spans; without an exporter, that there are none.
type exporterMetrics struct{ exporter *otlp.Exporter }

// invokeMetrics shows what waits and runs between functions and their callers.
type invokeMetrics struct {
	invoker *invoke.Invoker
	async   func(context.Context) (invoke.QueueStats, error)
}

var (
	spans       = describe("lambent_trace_spans_total", "Spans that ended, by what became of them: sent to the collector, or dropped since it was slow or away.", "outcome")
	exportFails = describe("lambent_trace_export_failures_total", "Requests to the collector that failed, those that were tried again included.")
	invocations = describe("lambent_invocations_running", "Invocations of functions under way.")
	throttled   = describe("lambent_invocations_throttled_total", "Invocations refused since as many were under way as are allowed.")
	logBytes    = describe("lambent_function_log_waiting_bytes", "Bytes of function logs on their way to the store.")
	logBound    = describe("lambent_function_log_waiting_bound_bytes", "Where records begin to be dropped.")
	logsLost    = describe("lambent_function_log_records_lost_total", "Records of function logs that found no place, or that the store did not take.")
	codeBytes   = describe("lambent_code_cache_bytes", "Bytes of unpacked packages on disk.")
	codeBound   = describe("lambent_code_cache_bound_bytes", "Where packages that are not in use make place.")
	asyncRuns   = describe("lambent_async_events_running", "Asynchronous events that run in this process.")
	asyncBound  = describe("lambent_async_events_running_bound", "How many may.")
	asyncDue    = describe("lambent_async_events_due", "Asynchronous events whose time has come; 1000 stands for that many or more.")
	asyncOldest = describe("lambent_async_events_oldest_due_seconds", "How long the first of them has waited beyond its time.")
)

// Describe implements prometheus.Collector.
func (exporterMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- spans
	ch <- exportFails
}

// Collect implements prometheus.Collector.
func (m exporterMetrics) Collect(ch chan<- prometheus.Metric) {
	var c otlp.Counts
	if m.exporter != nil {
		c = m.exporter.Counts()
	}
	counter := sender(ch, prometheus.CounterValue)
	counter(spans, float64(c.Sent), "sent")
	counter(spans, float64(c.Dropped), "dropped")
	counter(exportFails, float64(c.Failed))
}

// Describe implements prometheus.Collector.
func (invokeMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{invocations, throttled, logBytes, logBound, logsLost, codeBytes, codeBound, asyncRuns, asyncBound, asyncDue, asyncOldest} {
		ch <- d
	}
}

// asyncLook bounds the time for looking into the queue.
const asyncLook = 2 * time.Second

// Collect implements prometheus.Collector.
func (m invokeMetrics) Collect(ch chan<- prometheus.Metric) {
	s := m.invoker.Stats()
	counter := sender(ch, prometheus.CounterValue)
	gauge := sender(ch, prometheus.GaugeValue)
	gauge(invocations, float64(s.Running))
	counter(throttled, float64(s.Throttled))
	gauge(logBytes, float64(s.Logs.Now))
	gauge(logBound, float64(s.Logs.Bound))
	counter(logsLost, float64(s.LogsLost))
	gauge(codeBytes, float64(s.Code.Now))
	gauge(codeBound, float64(s.Code.Bound))
	ctx, cancel := context.WithTimeout(context.Background(), asyncLook)
	defer cancel()
	q, err := m.async(ctx)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(asyncDue, err)
		return
	}
	gauge(asyncRuns, float64(q.Running.Now))
	gauge(asyncBound, float64(q.Running.Bound))
	gauge(asyncDue, float64(q.Due))
	gauge(asyncOldest, q.Oldest.Seconds())
}
