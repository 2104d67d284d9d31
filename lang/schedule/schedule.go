// Package schedule is the language of EventBridge's schedule expressions: rate(5 minutes), cron(0 12 ? * MON-FRI *)
// and at(2026-03-01T12:00:00). It parses them and says when they are due, without a clock of its own. All times are UTC.
package schedule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrInvalid is in the chain of every error of Parse.
var ErrInvalid = errors.New("invalid schedule expression")

// Kind is the form of an expression.
type Kind int

// The forms of an expression.
const (
	Rate Kind = iota + 1
	Cron
	At
)

// Schedule is a parsed expression. It is a value and may be copied; the zero Schedule is never due.
type Schedule struct {
	kind  Kind
	every time.Duration
	at    time.Time
	cron  cron
}

// maxLength is the longest expression that the API models allow.
const maxLength = 256

// Parse reads an expression. Nothing may stand before, after or doubly within it.
func Parse(expr string) (Schedule, error) {
	name, args, ok := strings.Cut(expr, "(")
	if !ok || !strings.HasSuffix(args, ")") || len(expr) > maxLength {
		return Schedule{}, fmt.Errorf("%w: want rate(…), cron(…) or at(…)", ErrInvalid)
	}
	args = args[:len(args)-1]
	switch name {
	case "rate":
		return parseRate(args)
	case "cron":
		c, err := parseCron(args)
		return Schedule{kind: Cron, cron: c}, err
	case "at":
		t, err := time.Parse("2006-01-02T15:04:05", args)
		if err != nil || len(args) != len("2006-01-02T15:04:05") {
			return Schedule{}, fmt.Errorf("%w: want at(yyyy-mm-ddThh:mm:ss)", ErrInvalid)
		}
		return Schedule{kind: At, at: t}, nil
	}
	return Schedule{}, fmt.Errorf("%w: want rate(…), cron(…) or at(…)", ErrInvalid)
}

// parseRate reads "1 minute" or "5 minutes": EventBridge wants the singular for one and the plural for more.
func parseRate(args string) (Schedule, error) {
	value, unit, _ := strings.Cut(args, " ")
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil || n == 0 {
		return Schedule{}, fmt.Errorf("%w: a rate wants a positive number", ErrInvalid)
	}
	if n > 1 {
		var plural bool
		if unit, plural = strings.CutSuffix(unit, "s"); !plural {
			return Schedule{}, fmt.Errorf("%w: a rate of %d wants the plural", ErrInvalid, n)
		}
	}
	var every time.Duration
	switch unit {
	case "minute":
		every = time.Minute
	case "hour":
		every = time.Hour
	case "day":
		every = 24 * time.Hour
	default:
		return Schedule{}, fmt.Errorf("%w: a rate counts minutes, hours or days", ErrInvalid)
	}
	const most = 100 * 365 * 24 * time.Hour
	if n > uint64(most/every) {
		return Schedule{}, fmt.Errorf("%w: a rate of more than a hundred years", ErrInvalid)
	}
	return Schedule{kind: Rate, every: time.Duration(n) * every}, nil
}

// Kind returns the form of the expression.
func (s Schedule) Kind() Kind { return s.kind }

// Next returns the first time after t at which the schedule is due; ok is false when there is none. A rate counts from
// t, so give it the time at which it was due before, or at which it was made.
func (s Schedule) Next(t time.Time) (due time.Time, ok bool) {
	switch s.kind {
	case Rate:
		return t.UTC().Add(s.every), true
	case Cron:
		return s.cron.next(t.UTC())
	case At:
		return s.at, s.at.After(t)
	}
	return time.Time{}, false
}

// Latest returns the last time not after now at which the schedule is due, counted from due, a time at which it is: what
// is left to do when nobody looked for a while. It takes no longer for a long while than for a short one.
func (s Schedule) Latest(due, now time.Time) time.Time {
	switch s.kind {
	case Rate:
		if late := now.Sub(due); late > 0 {
			return due.UTC().Add(late / s.every * s.every)
		}
	case Cron:
		if t, ok := s.cron.last(now.UTC()); ok && t.After(due) {
			return t
		}
	}
	return due.UTC()
}
