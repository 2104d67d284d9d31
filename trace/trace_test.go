package trace_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"lambent/trace"
)

// collect returns a Tracer that keeps that share of the traces, and what it has kept.
func collect(share float64) (*trace.Tracer, *[]trace.Data) {
	var kept []trace.Data
	return trace.New(func(d trace.Data) { kept = append(kept, d) }, share), &kept
}

func TestSpans(t *testing.T) {
	tracer, kept := collect(1)
	ctx, root := trace.Root(tracer.With(t.Context()), "request", trace.Server, trace.Parent{})
	inner, part := trace.Start(ctx, "part")
	part.Set("n", 3)
	part.Set("text", strings.Repeat("x", 2000)+"\xff")
	part.Event("retry", trace.Attribute{Key: "because", Value: "conflict"})
	for range 100 {
		part.Set("many", true)
	}
	_, leaf := trace.Start(inner, "leaf")
	leaf.End(errors.New("no"))
	part.End(nil)
	part.End(errors.New("too late"))
	root.Rename("s3 PutObject")
	root.Fail("")
	if len(*kept) != 3 {
		t.Fatalf("%d spans were kept, want 3", len(*kept))
	}
	l, p, r := (*kept)[0], (*kept)[1], (*kept)[2]
	if l.Parent != p.Span || p.Parent != r.Span || r.Parent != (trace.SpanID{}) || l.Trace != r.Trace || p.Trace != r.Trace {
		t.Errorf("the spans do not stand in each other: %+v", *kept)
	}
	if !l.Failed || l.Error != "no" || p.Failed || !r.Failed || r.Name != "s3 PutObject" || r.Kind != trace.Server || l.Kind != trace.Internal {
		t.Errorf("spans = %+v", *kept)
	}
	if len(p.Attributes) != 64 || p.Dropped != 38 || len(p.Attributes[1].Value.(string)) != 1024 {
		t.Errorf("%d attributes, %d dropped, text of %d", len(p.Attributes), p.Dropped, len(p.Attributes[1].Value.(string)))
	}
	if want := []trace.Attribute{{Key: "because", Value: "conflict"}}; len(p.Events) != 1 || !reflect.DeepEqual(p.Events[0].Attributes, want) {
		t.Errorf("events = %+v", p.Events)
	}
}

// TestNobodyWants: without a Tracer nothing happens, and it costs no memory.
func TestNobodyWants(t *testing.T) {
	var none *trace.Tracer
	ctx, span := none.Root(t.Context(), "x", trace.Server, trace.Parent{})
	if span != nil || ctx != t.Context() {
		t.Error("a nil Tracer began something")
	}
	allocated := testing.AllocsPerRun(100, func() {
		ctx, span := trace.Start(t.Context(), "x")
		span.Set("a", "b")
		span.Event("e")
		span.Rename("y")
		span.End(nil)
		span.Fail("")
		if span.On() || trace.From(ctx) != nil || span.Amazon() != "" {
			t.Error("there is a span")
		}
	})
	if allocated > 0 {
		t.Errorf("%v allocations", allocated)
	}
}

func TestShare(t *testing.T) {
	for _, tt := range []struct {
		share    float64
		from     trace.Parent
		min, max int // of 1000 traces
	}{
		{1, trace.Parent{}, 1000, 1000},
		{0, trace.Parent{}, 0, 0},
		{0.25, trace.Parent{}, 150, 350},
		{0, trace.Parent{Trace: trace.ID{1}, Span: trace.SpanID{1}, Sampled: true}, 1000, 1000},
		{1, trace.Parent{Trace: trace.ID{1}, Span: trace.SpanID{1}}, 0, 0},
	} {
		tracer, kept := collect(tt.share)
		for range 1000 {
			_, span := tracer.Root(context.Background(), "x", trace.Server, tt.from)
			span.End(nil)
		}
		if n := len(*kept); n < tt.min || n > tt.max {
			t.Errorf("share %v from %v: %d of 1000 were kept", tt.share, tt.from, n)
		}
	}
}

func TestParentOf(t *testing.T) {
	const w3c, amazon = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	for _, tt := range []struct{ traceparent, amazon, want string }{
		{w3c, "", "4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 true"},
		{w3c[:53] + "00", "", "4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 false"},
		{"cc" + w3c[2:] + "-more", "", "4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 true"},
		{w3c + "-more", amazon, "5759e988bd862e3fe1be46a994272793 53995c3f42cd8ad8 true"},
		{"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "", ""},
		{"ff" + w3c[2:], "", ""},
		{"", amazon, "5759e988bd862e3fe1be46a994272793 53995c3f42cd8ad8 true"},
		{"", "Self=1-2-3; " + amazon + ";Lineage=a:0", "5759e988bd862e3fe1be46a994272793 53995c3f42cd8ad8 true"},
		{"", "Root=1-5759e988-bd862e3fe1be46a994272793", ""},
		{"", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=?", ""},
		{"", "Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", ""},
		{"", "Root=1-5759e988-xx862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", ""},
	} {
		h := http.Header{}
		h.Set("Traceparent", tt.traceparent)
		h.Set("X-Amzn-Trace-Id", tt.amazon)
		got := ""
		if p := trace.ParentOf(h); p.Trace != (trace.ID{}) {
			got = p.Trace.String() + " " + p.Span.String() + map[bool]string{true: " true", false: " false"}[p.Sampled]
		}
		if got != tt.want {
			t.Errorf("%q, %q: %q, want %q", tt.traceparent, tt.amazon, got, tt.want)
		}
	}
}

func TestAmazon(t *testing.T) {
	tracer, kept := collect(1)
	_, span := tracer.Root(t.Context(), "x", trace.Server, trace.Parent{})
	p := trace.ParseAmazon(span.Amazon())
	_, next := tracer.Root(t.Context(), "y", trace.Server, p)
	next.End(nil)
	span.End(nil)
	if y, x := (*kept)[0], (*kept)[1]; y.Trace != x.Trace || y.Parent != x.Span {
		t.Errorf("%q leads to %+v, want a part of %+v", span.Amazon(), y, x)
	}
}

func FuzzParentOf(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1")
	f.Fuzz(func(t *testing.T, traceparent, amazon string) {
		p := trace.ParentOf(http.Header{"Traceparent": {traceparent}, "X-Amzn-Trace-Id": {amazon}})
		if (p.Trace == trace.ID{}) != (p.Span == trace.SpanID{}) || p.Sampled && p.Trace == (trace.ID{}) {
			t.Errorf("half a parent: %+v", p)
		}
	})
}

func TestAmazonHeader(t *testing.T) {
	now := time.Unix(1704067200, 0)
	for header, want := range map[string]string{
		"":                         `^Root=1-65920080-[0-9a-f]{24}$`,
		"Root=1-2-3;Parent=4":      `^Root=1-2-3;Parent=4$`,
		"Self=1-2-3":               `^Root=1-65920080-[0-9a-f]{24};Self=1-2-3$`,
		"Parent=4;Root=1-2-3;x=10": `^Parent=4;Root=1-2-3;x=10$`,
	} {
		if got := trace.Amazon(t.Context(), header, now); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%q: got %q, want %s", header, got, want)
		}
	}
	tracer, _ := collect(1)
	ctx, span := tracer.Root(t.Context(), "x", trace.Server, trace.Parent{})
	if got := trace.Amazon(ctx, "Root=1-2-3", now); got != span.Amazon() {
		t.Errorf("with a span: got %q, want %q", got, span.Amazon())
	}
	for header, want := range map[string]string{
		"Root=1-2-3":                    `^Root=1-2-3;Parent=[0-9a-f]{16};Sampled=0$`,
		"Root=1-2-3;Parent=4;Sampled=1": `^Root=1-2-3;Parent=4;Sampled=1$`,
	} {
		if got := trace.Whole(header); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("%q: got %q, want %s", header, got, want)
		}
	}
}
