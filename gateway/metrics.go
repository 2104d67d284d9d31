package gateway

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the gateway's measurements. Label values come from the models, so their number is bounded
// whatever clients send.
type metrics struct {
	requests *prometheus.HistogramVec
	inFlight prometheus.Gauge
	handler  http.Handler
	anywhere bool
}

func newMetrics(registry *prometheus.Registry, anywhere bool) (*metrics, error) {
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "lambent_request_seconds",
			Help:    "Time from a request's head to the end of its reply, by service, operation and class of status.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"service", "operation", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lambent_requests_in_flight",
			Help: "Requests that have come and are not answered yet.",
		}),
		handler:  promhttp.HandlerFor(registry, promhttp.HandlerOpts{}),
		anywhere: anywhere,
	}
	if err := registry.Register(m.requests); err != nil {
		return nil, err
	}
	return m, registry.Register(m.inFlight)
}

func (m *metrics) observe(service, operation string, status int, took time.Duration) {
	if service == "" {
		service = "none"
	}
	if operation == "" {
		operation = "none"
	}
	m.requests.WithLabelValues(service, operation, strconv.Itoa(status/100)+"xx").Observe(took.Seconds())
}

// observeInner counts a call of one service by another. Its series carry "inner" where the status stands.
func (m *metrics) observeInner(service, operation string, err error, took time.Duration) {
	status := "inner"
	if err != nil {
		status = "inner fault"
	}
	m.requests.WithLabelValues(service, operation, status).Observe(took.Seconds())
}

// serveOwn answers the gateway's own paths. They stand aside for a bucket of such a name: a signed
// request or one with the bucket in its host is not for them.
func (x *exchange) serveOwn() bool {
	path := x.r.URL.Path
	if path != "/health" && path != "/metrics" || x.r.Header.Get("Authorization") != "" || x.place.bucket != "" ||
		strings.Contains(x.r.URL.RawQuery, "X-Amz-") || x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		return false
	}
	x.service = "gateway"
	if path == "/health" {
		x.operation = "health"
		x.w.Header().Set("Content-Type", "application/json")
		x.w.Write([]byte(`{"status":"ok"}` + "\n"))
		return true
	}
	x.operation = "metrics"
	if !x.g.metrics.anywhere && !onThisMachine(peer(x.r)) {
		http.Error(x.w, "metrics are served to this machine only", http.StatusForbidden)
		return true
	}
	x.g.metrics.handler.ServeHTTP(x.w, x.r)
	return true
}

func onThisMachine(ip string) bool {
	addr, err := netip.ParseAddr(ip)
	return err == nil && addr.Unmap().IsLoopback()
}
