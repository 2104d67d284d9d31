package trace

import (
	"context"
	"encoding/hex"
	"strings"
	"time"
)

// A Parent is where a trace was begun elsewhere: the zero value says that it was not.
type Parent struct {
	Trace   ID
	Span    SpanID
	Sampled bool
}

// Header is what ParentOf needs of a request's header.
type Header interface{ Get(name string) string }

// ParentOf reads what a caller says of its trace: W3C's traceparent, or else AWS's X-Amzn-Trace-Id.
func ParentOf(h Header) Parent {
	if p, ok := parseTraceparent(h.Get("Traceparent")); ok {
		return p
	}
	return ParseAmazon(h.Get("X-Amzn-Trace-Id"))
}

// parseTraceparent reads "00-<32 hex digits>-<16 hex digits>-<2 hex digits>"; later versions may add to that.
func parseTraceparent(s string) (p Parent, ok bool) {
	parts := strings.SplitN(s, "-", 5)
	if len(parts) < 4 || len(parts[0]) != 2 || parts[0] == "ff" || len(parts[3]) != 2 || len(parts) > 4 && parts[0] == "00" {
		return Parent{}, false
	}
	flags, err := hex.DecodeString(parts[3])
	if err != nil || !decode(p.Trace[:], parts[1]) || !decode(p.Span[:], parts[2]) || p.Trace == (ID{}) || p.Span == (SpanID{}) {
		return Parent{}, false
	}
	p.Sampled = flags[0]&1 == 1
	return p, true
}

// ParseAmazon reads "Root=1-<8 hex digits>-<24 hex digits>;Parent=<16 hex digits>;Sampled=1". A header without Parent or
// without a decision begins no part of a foreign trace.
func ParseAmazon(s string) (p Parent) {
	var sampled bool
	for field := range strings.SplitSeq(s, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch key {
		case "Root":
			version, rest, _ := strings.Cut(value, "-")
			seconds, random, _ := strings.Cut(rest, "-")
			if version != "1" || len(seconds) != 8 || !decode(p.Trace[:], seconds+random) {
				return Parent{}
			}
		case "Parent":
			if !decode(p.Span[:], value) {
				return Parent{}
			}
		case "Sampled":
			sampled = value == "1"
			if !sampled && value != "0" {
				return Parent{}
			}
			p.Sampled = sampled
		}
	}
	if p.Trace == (ID{}) || p.Span == (SpanID{}) {
		return Parent{}
	}
	return p
}

// Amazon returns what X-Amzn-Trace-Id says of the span to those that it calls; "" for a nil one.
func (s *Span) Amazon() string {
	if s == nil {
		return ""
	}
	id := s.data.Trace.String()
	return "Root=1-" + id[:8] + "-" + id[8:] + ";Parent=" + s.data.Span.String() + ";Sampled=1"
}

// Amazon returns what X-Amzn-Trace-Id says to those that work for a request which came with that header: the context's
// span, or else what the header says, or else that a trace begins.
func Amazon(ctx context.Context, header string, now time.Time) string {
	if s := From(ctx); s != nil {
		return s.Amazon()
	}
	if strings.Contains(header, "Root=") {
		return header
	}
	id := newID(now).String()
	root := "Root=1-" + id[:8] + "-" + id[8:]
	if header != "" {
		return root + ";" + header
	}
	return root
}

// Whole completes such a header for a function, which wants to know its parent and whether the trace is kept.
func Whole(header string) string {
	if !strings.Contains(header, "Parent=") {
		header += ";Parent=" + newSpanID().String()
	}
	if !strings.Contains(header, "Sampled=") {
		header += ";Sampled=0"
	}
	return header
}

func decode(to []byte, digits string) bool {
	if len(digits) != 2*len(to) {
		return false
	}
	_, err := hex.Decode(to, []byte(digits))
	return err == nil
}
