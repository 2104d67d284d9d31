package otlp

import (
	"math"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"
)

type metricsDocument struct {
	Resources []resourceMetrics `json:"resourceMetrics"`
}

type resourceMetrics struct {
	Resource resource       `json:"resource"`
	Scopes   []scopeMetrics `json:"scopeMetrics"`
}

type scopeMetrics struct {
	Scope   scope    `json:"scope"`
	Metrics []metric `json:"metrics"`
}

// metric has one of the kinds set.
type metric struct {
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Sum         *points    `json:"sum,omitempty"`
	Gauge       *points    `json:"gauge,omitempty"`
	Histogram   *histogram `json:"histogram,omitempty"`
	Summary     *points    `json:"summary,omitempty"`
}

type points struct {
	Points      []point `json:"dataPoints"`
	Temporality int     `json:"aggregationTemporality,omitempty"`
	Monotonic   bool    `json:"isMonotonic,omitempty"`
}

type histogram struct {
	Points      []point `json:"dataPoints"`
	Temporality int     `json:"aggregationTemporality"`
}

// point is of any kind; the fields of the others are absent.
type point struct {
	Attributes []attribute `json:"attributes,omitempty"`
	Start      string      `json:"startTimeUnixNano,omitempty"`
	Time       string      `json:"timeUnixNano"`
	Double     *float64    `json:"asDouble,omitempty"`

	Count     string     `json:"count,omitempty"`
	Sum       *float64   `json:"sum,omitempty"`
	Buckets   []string   `json:"bucketCounts,omitempty"`
	Bounds    []float64  `json:"explicitBounds,omitempty"`
	Quantiles []quantile `json:"quantileValues,omitempty"`
}

type quantile struct {
	Quantile float64 `json:"quantile"`
	Value    float64 `json:"value"`
}

const cumulative = 2

// metrics turns what /metrics shows into the protocol's document.
func (r resource) metrics(families []*dto.MetricFamily, started, now time.Time) metricsDocument {
	begin, at := nanos(started), nanos(now)
	var all []metric
	for _, f := range families {
		m := metric{Name: f.GetName(), Description: f.GetHelp()}
		var ps []point
		for _, one := range f.GetMetric() {
			if p, ok := pointOf(f.GetType(), one); ok {
				p.Attributes, p.Start, p.Time = labels(one.GetLabel()), begin, at
				ps = append(ps, p)
			}
		}
		if len(ps) == 0 {
			continue
		}
		switch f.GetType() {
		case dto.MetricType_COUNTER:
			m.Sum = &points{ps, cumulative, true}
		case dto.MetricType_HISTOGRAM:
			m.Histogram = &histogram{ps, cumulative}
		case dto.MetricType_SUMMARY:
			m.Summary = &points{Points: ps}
		default:
			m.Gauge = &points{Points: ps}
		}
		all = append(all, m)
	}
	return metricsDocument{[]resourceMetrics{{r, []scopeMetrics{{r.scope, all}}}}}
}

// pointOf is one series. JSON has no word for infinity and what is not a number: such a value is left out.
func pointOf(kind dto.MetricType, m *dto.Metric) (p point, ok bool) {
	number := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	switch kind {
	case dto.MetricType_COUNTER:
		p.Double = new(m.GetCounter().GetValue())
	case dto.MetricType_GAUGE:
		p.Double = new(m.GetGauge().GetValue())
	case dto.MetricType_UNTYPED:
		p.Double = new(m.GetUntyped().GetValue())
	case dto.MetricType_HISTOGRAM:
		h := m.GetHistogram()
		p.Count, p.Sum = count(h.GetSampleCount()), new(h.GetSampleSum())
		var below uint64
		for _, b := range h.GetBucket() {
			if math.IsInf(b.GetUpperBound(), 1) {
				continue
			}
			p.Bounds = append(p.Bounds, b.GetUpperBound())
			p.Buckets = append(p.Buckets, count(b.GetCumulativeCount()-below))
			below = b.GetCumulativeCount()
		}
		p.Buckets = append(p.Buckets, count(h.GetSampleCount()-below))
		return p, number(*p.Sum)
	case dto.MetricType_SUMMARY:
		s := m.GetSummary()
		p.Count, p.Sum = count(s.GetSampleCount()), new(s.GetSampleSum())
		for _, q := range s.GetQuantile() {
			if number(q.GetValue()) {
				p.Quantiles = append(p.Quantiles, quantile{q.GetQuantile(), q.GetValue()})
			}
		}
		return p, number(*p.Sum)
	default:
		return p, false
	}
	return p, number(*p.Double)
}

func labels(pairs []*dto.LabelPair) []attribute {
	var out []attribute
	for _, l := range pairs {
		out = append(out, text(l.GetName(), l.GetValue()))
	}
	return out
}

func count(n uint64) string { return strconv.FormatUint(n, 10) }
