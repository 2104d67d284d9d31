// Package trace follows a piece of work through the rooms: a span says what was done, when, for how long and with what
// outcome, and which span it was part of.
//
// A Tracer, which exists only when an operator wants traces, begins a root span where work enters the cloud: a request, an
// event from a queue, a timer. Rooms below add parts with Start. Without a span in the context Start looks, finds nothing
// and returns a nil *Span, on which every method does nothing; so an instrumented path costs some nanoseconds while nobody
// wants traces, and rooms need not ask.
//
// The model is OpenTelemetry's. A trace's id begins with its time, as AWS X-Ray wants it, so that the same trace can be
// told to functions in X-Amzn-Trace-Id and to others in W3C's traceparent.
package trace

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
	"sync"
	"time"
)

// ID names a trace; SpanID names a span in it. The zero values name nothing.
type (
	ID     [16]byte
	SpanID [8]byte
)

// String returns the id in hexadecimal.
func (i ID) String() string { return hex.EncodeToString(i[:]) }

// String returns the id in hexadecimal.
func (i SpanID) String() string { return hex.EncodeToString(i[:]) }

// Kind says how a span stands to the outside, with OpenTelemetry's numbers.
type Kind int

// The kinds.
const (
	Internal Kind = 1
	Server   Kind = 2
	Client   Kind = 3
	Producer Kind = 4
	Consumer Kind = 5
)

// Bounds of a span. What is more is counted and left out.
const (
	maxAttributes = 64
	maxEvents     = 64
	maxText       = 1 << 10 // bytes of a text
)

// An Attribute is a fact about a span. Value is a string, bool, int, int64 or float64.
type Attribute struct {
	Key   string
	Value any
}

// An Event is something that happened during a span.
type Event struct {
	Time       time.Time
	Name       string
	Attributes []Attribute
}

// Data is a span that has ended.
type Data struct {
	Trace        ID
	Span, Parent SpanID // Parent is zero for a root
	Name         string
	Kind         Kind
	Start, End   time.Time
	Attributes   []Attribute
	Events       []Event
	Dropped      int // attributes and events that were too many
	Failed       bool
	Error        string // why, when it is known
}

// A Tracer begins traces and hands spans that have ended to where they are wanted.
type Tracer struct {
	keep  func(Data)
	bound uint64 // a new trace is kept when its random part is below
}

// New returns a Tracer that hands spans to keep, which must not wait. Of the traces that begin here the given share,
// 0 to 1, is kept; one that began elsewhere is kept when that place keeps it.
func New(keep func(Data), share float64) *Tracer {
	bound := uint64(math.MaxUint64)
	if share < 1 {
		bound = uint64(max(share, 0) * math.MaxUint64)
	}
	return &Tracer{keep: keep, bound: bound}
}

type (
	tracerKey struct{}
	spanKey   struct{}
)

// With returns a context in which Root begins traces of t; for a nil Tracer, ctx.
func (t *Tracer) With(ctx context.Context) context.Context {
	if t == nil {
		return ctx
	}
	return context.WithValue(ctx, tracerKey{}, t)
}

// Root begins a trace, or a part of one that was begun elsewhere, if the context has a Tracer.
func Root(ctx context.Context, name string, kind Kind, from Parent) (context.Context, *Span) {
	t, _ := ctx.Value(tracerKey{}).(*Tracer)
	return t.Root(ctx, name, kind, from)
}

// Root begins a trace, or goes on with one that was begun elsewhere. A nil Tracer does nothing.
func (t *Tracer) Root(ctx context.Context, name string, kind Kind, from Parent) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	now := time.Now()
	if from.Trace == (ID{}) {
		from = Parent{Trace: newID(now)}
		from.Sampled = binary.BigEndian.Uint64(from.Trace[8:]) <= t.bound
	}
	if !from.Sampled {
		return ctx, nil
	}
	s := &Span{tracer: t, data: Data{Trace: from.Trace, Span: newSpanID(), Parent: from.Span, Name: name, Kind: kind, Start: now}}
	return context.WithValue(ctx, spanKey{}, s), s
}

// Start begins a part of the context's span. Without one it returns ctx and nil.
func Start(ctx context.Context, name string) (context.Context, *Span) {
	p := From(ctx)
	if p == nil {
		return ctx, nil
	}
	s := &Span{tracer: p.tracer, data: Data{Trace: p.data.Trace, Span: newSpanID(), Parent: p.data.Span, Name: name, Kind: Internal, Start: time.Now()}}
	return context.WithValue(ctx, spanKey{}, s), s
}

// From returns the context's span, nil when there is none.
func From(ctx context.Context) *Span {
	s, _ := ctx.Value(spanKey{}).(*Span)
	return s
}

// A Span is work that goes on. It may be used by several goroutines. A nil Span does nothing.
type Span struct {
	tracer *Tracer

	mu    sync.Mutex
	data  Data // guarded by mu, except what names the span, which does not change
	ended bool
}

// On tells whether anybody wants to know of this span: what is costly to find out need not be found out otherwise.
func (s *Span) On() bool { return s != nil }

// Rename gives the span its name when that is known only later.
func (s *Span) Rename(name string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data.Name = name
}

// Set notes a fact: a string, bool, int, int64 or float64.
func (s *Span) Set(key string, value any) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.data.Attributes) == maxAttributes {
		s.data.Dropped++
		return
	}
	s.data.Attributes = append(s.data.Attributes, Attribute{key, bounded(value)})
}

// Event notes that something happened now.
func (s *Span) Event(name string, about ...Attribute) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.data.Events) == maxEvents {
		s.data.Dropped++
		return
	}
	for i := range about {
		about[i].Value = bounded(about[i].Value)
	}
	s.data.Events = append(s.data.Events, Event{time.Now(), name, about})
}

// End ends the span, once. An error marks it as failed.
func (s *Span) End(err error) {
	if s == nil {
		return
	}
	if err == nil {
		s.end(false, "")
		return
	}
	s.end(true, err.Error())
}

// Fail ends the span as failed without an error at hand.
func (s *Span) Fail(why string) {
	if s != nil {
		s.end(true, why)
	}
}

func (s *Span) end(failed bool, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.ended = true
	s.data.End = time.Now()
	s.data.Failed, s.data.Error = failed, bounded(why).(string)
	s.tracer.keep(s.data)
}

// bounded cuts a text that is too long.
func bounded(value any) any {
	text, ok := value.(string)
	if !ok {
		return value
	}
	if len(text) > maxText {
		text = text[:maxText]
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

func newID(now time.Time) (id ID) {
	rand.Read(id[:])
	binary.BigEndian.PutUint32(id[:], uint32(now.Unix()))
	return id
}

func newSpanID() (id SpanID) {
	rand.Read(id[:])
	return id
}
