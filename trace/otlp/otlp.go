// Package otlp sends spans and metrics to a collector, by OpenTelemetry's protocol over HTTP with JSON bodies.
//
// The protocol's own libraries would make the binary a fifth larger and every start slower, for whoever wants no traces
// too; what is needed of the protocol are two documents and a POST.
//
// Nothing that is sent is ever waited for: spans go into a queue of bounded length, and what does not fit, or what the
// collector does not take in time, is dropped and counted.
package otlp

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lambent/trace"
)

// Config is where to send, and as whom.
type Config struct {
	Endpoint string            // of the collector, as in http://127.0.0.1:4318; /v1/traces and /v1/metrics are added
	Headers  map[string]string // with every request: a collector's key
	Version  string            // of this program
	Instance string            // tells this process from others

	Metrics prometheus.Gatherer // what is shown at /metrics; nil sends spans only
	Every   time.Duration       // metrics are sent; default 60 s

	Log    *slog.Logger
	Client *http.Client // default: a plain one
}

// Bounds.
const (
	queueSpans = 4096
	batchSpans = 512
	linger     = time.Second // what comes close together goes out together
	tries      = 4
	patience   = 10 * time.Second // of one request
	lastWords  = 2 * time.Second  // of one at the end
	maxRefusal = 4 << 10          // bytes read of an answer that says why
)

// An Exporter sends what it is given. Its Run must run.
type Exporter struct {
	config   Config
	resource resource
	started  time.Time
	spans    chan trace.Data

	sent, dropped, failed atomic.Uint64
	complained            bool // of Run's goroutine: the log has been told that the collector does not answer
}

// Counts are how many spans went out, how many were dropped since the queue was full or the collector did not take them,
// and how many requests failed.
type Counts struct{ Sent, Dropped, Failed uint64 }

// New makes an Exporter.
func New(c Config) (*Exporter, error) {
	at, err := url.Parse(c.Endpoint)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
		return nil, fmt.Errorf("%q is not the address of a collector: it has the form http://HOST:4318", c.Endpoint)
	}
	c.Endpoint = strings.TrimSuffix(c.Endpoint, "/")
	if c.Every == 0 {
		c.Every = time.Minute
	}
	if c.Client == nil {
		c.Client = &http.Client{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Exporter{config: c, resource: newResource(c), started: time.Now(), spans: make(chan trace.Data, queueSpans)}, nil
}

// Keep takes a span that has ended. It never waits.
func (e *Exporter) Keep(d trace.Data) {
	select {
	case e.spans <- d:
	default:
		e.dropped.Add(1)
	}
}

// Counts returns what has become of the spans so far.
func (e *Exporter) Counts() Counts { return Counts{e.sent.Load(), e.dropped.Load(), e.failed.Load()} }

// Run sends until ctx ends, then sends what is left, if the collector takes it at once.
func (e *Exporter) Run(ctx context.Context) error {
	metrics := time.NewTicker(e.config.Every)
	defer metrics.Stop()
	for {
		select {
		case <-ctx.Done():
			for until := time.Now().Add(lastWords); len(e.spans) > 0 && time.Now().Before(until); {
				e.sendSpans(ctx, e.take(ctx, 0))
			}
			e.sendMetrics(ctx)
			return nil
		case d := <-e.spans:
			e.sendSpans(ctx, append([]trace.Data{d}, e.take(ctx, linger)...))
		case <-metrics.C:
			e.sendMetrics(ctx)
		}
	}
}

// take gathers what comes within a while, up to a batch.
func (e *Exporter) take(ctx context.Context, within time.Duration) (batch []trace.Data) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for len(batch) < batchSpans-1 {
		select {
		case d := <-e.spans:
			batch = append(batch, d)
			continue
		default:
		}
		if within == 0 {
			return batch
		}
		select {
		case d := <-e.spans:
			batch = append(batch, d)
		case <-timer.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

func (e *Exporter) sendSpans(ctx context.Context, batch []trace.Data) {
	if len(batch) == 0 {
		return
	}
	if e.send(ctx, "/v1/traces", e.resource.spans(batch)) {
		e.sent.Add(uint64(len(batch)))
	} else {
		e.dropped.Add(uint64(len(batch)))
	}
}

func (e *Exporter) sendMetrics(ctx context.Context) {
	if e.config.Metrics == nil {
		return
	}
	families, err := e.config.Metrics.Gather()
	if err != nil {
		e.config.Log.Warn("metrics for the collector are not complete", "error", err)
	}
	e.send(ctx, "/v1/metrics", e.resource.metrics(families, e.started, time.Now()))
}

// send posts a document and tells whether the collector took it. What may succeed later is tried again, unless ctx has
// ended: then there is one attempt, and a short one.
func (e *Exporter) send(ctx context.Context, path string, document any) bool {
	body, err := encode(document)
	wait := 500 * time.Millisecond
	for try := 1; err == nil; try++ {
		var again bool
		var after time.Duration
		if again, after, err = e.post(ctx, path, body); err == nil {
			if e.complained {
				e.complained = false
				e.config.Log.Info("the collector answers again", "endpoint", e.config.Endpoint)
			}
			return true
		}
		e.failed.Add(1)
		if !again || try == tries || ctx.Err() != nil {
			break
		}
		err = nil
		select {
		case <-ctx.Done():
		case <-time.After(max(wait, after)):
		}
		wait *= 2
	}
	if !e.complained {
		e.complained = true
		e.config.Log.Warn("the collector does not take traces and metrics; they are dropped until it does", "endpoint", e.config.Endpoint+path, "error", err)
	}
	return false
}

// post makes one attempt. again says that the same may succeed later, after says when the collector wants it.
func (e *Exporter) post(ctx context.Context, path string, body []byte) (again bool, after time.Duration, err error) {
	within := patience
	if ctx.Err() != nil {
		within = lastWords
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.config.Endpoint+path, bytes.NewReader(body))
	if err != nil {
		return false, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Content-Encoding", "gzip")
	req.Header.Set("User-Agent", "lambent/"+e.config.Version)
	for name, value := range e.config.Headers {
		req.Header.Set(name, value)
	}
	resp, err := e.config.Client.Do(req)
	if err != nil {
		return true, 0, err
	}
	defer resp.Body.Close()
	why, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal)) // only for the message
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return false, 0, nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		again = true
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		after = min(time.Duration(seconds)*time.Second, 30*time.Second)
	}
	return again, after, fmt.Errorf("%s: %.200s", resp.Status, bytes.TrimSpace(why))
}

func encode(document any) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(document); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return b.Bytes(), nil
}
