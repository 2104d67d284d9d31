package schedule

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// cron is a parsed cron expression: minutes, hours, day of the month, month, day of the week, year.
type cron struct {
	minute, hour, month uint64 // bit n: value n
	years               [(lastYear - firstYear + 64) / 64]uint64
	day                 dayRule
}

const (
	firstYear = 1970
	lastYear  = 2199
)

// dayRule says which days of a month are due, by their number or by their weekday: exactly one of the two is given.
type dayRule struct {
	kind dayKind
	set  uint64 // days of the month from 1, or of the week from 1 for Sunday
	day  int    // of nearestWeekday; weekday of lastOfWeekday and nthOfWeekday
	nth  int
}

type dayKind int

const (
	daysOfMonth    dayKind = iota // 1,15 or 1/2 or *
	lastDay                       // L
	lastWeekday                   // LW: the last from Monday to Friday
	nearestWeekday                // 15W: the one from Monday to Friday that is nearest, in the same month
	daysOfWeek                    // MON-FRI
	lastOfWeekday                 // 6L: the last Friday
	nthOfWeekday                  // 6#3: the third Friday
)

// field is the range of values of a field, and their names.
type field struct {
	name     string
	min, max int
	names    string // three letters each, from min
	wraps    bool   // whether a range may go past the end: FRI-MON
}

var (
	minutes  = field{"minutes", 0, 59, "", true}
	hours    = field{"hours", 0, 23, "", true}
	monthday = field{"day of month", 1, 31, "", true}
	months   = field{"month", 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC", true}
	weekdays = field{"day of week", 1, 7, "SUNMONTUEWEDTHUFRISAT", true}
	years    = field{"year", firstYear, lastYear, "", false}
)

func (f field) bad(text string) error {
	return fmt.Errorf("%w: %q is no %s", ErrInvalid, text, f.name)
}

// parseCron reads the six fields of an expression.
func parseCron(args string) (c cron, err error) {
	p := strings.Fields(args)
	if len(p) != 6 {
		return c, fmt.Errorf("%w: cron wants six fields, not %d", ErrInvalid, len(p))
	}
	if c.minute, err = minutes.bitset(p[0]); err != nil {
		return c, err
	}
	if c.hour, err = hours.bitset(p[1]); err != nil {
		return c, err
	}
	if c.month, err = months.bitset(p[3]); err != nil {
		return c, err
	}
	if c.day, err = parseDay(p[2], p[4]); err != nil {
		return c, err
	}
	return c, years.each(p[5], func(y int) { c.years[(y-firstYear)/64] |= 1 << ((y - firstYear) % 64) })
}

// bitset reads a field of at most 64 values.
func (f field) bitset(text string) (set uint64, err error) {
	err = f.each(text, func(v int) { set |= 1 << v })
	return set, err
}

// each calls add with every value that the list in text names.
func (f field) each(text string, add func(int)) error {
	for item := range strings.SplitSeq(text, ",") {
		span, increment, stepped := strings.Cut(item, "/")
		step := 1
		if stepped {
			n, err := strconv.ParseUint(increment, 10, 16)
			if err != nil || n == 0 || int(n) > f.max {
				return f.bad(text)
			}
			step = int(n)
		}
		first, last, err := f.span(span, stepped)
		if err != nil {
			return err
		}
		size := f.max - f.min + 1
		if last < first {
			if !f.wraps {
				return f.bad(text)
			}
			last += size
		}
		for v := first; v <= last; v += step {
			add((v-f.min)%size + f.min)
		}
	}
	return nil
}

// span reads "*", a value or a range; a value before a step begins a range to the end.
func (f field) span(text string, stepped bool) (first, last int, err error) {
	if text == "*" {
		return f.min, f.max, nil
	}
	a, b, ranged := strings.Cut(text, "-")
	if first, err = f.value(a); err != nil {
		return 0, 0, err
	}
	switch {
	case ranged:
		last, err = f.value(b)
	case stepped:
		last = f.max
	default:
		last = first
	}
	return first, last, err
}

// value reads a number or a name.
func (f field) value(text string) (int, error) {
	if i := strings.Index(f.names, strings.ToUpper(text)); len(text) == 3 && i >= 0 && i%3 == 0 {
		return f.min + i/3, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || int(n) < f.min || int(n) > f.max {
		return 0, f.bad(text)
	}
	return int(n), nil
}

// parseDay reads the two fields for days, one of which must be "?".
func parseDay(month, week string) (dayRule, error) {
	switch {
	case (month == "?") == (week == "?"):
		return dayRule{}, fmt.Errorf("%w: one of day of month and day of week must be ?", ErrInvalid)
	case week == "?":
		return parseMonthday(month)
	}
	return parseWeekday(week)
}

func parseMonthday(text string) (dayRule, error) {
	switch text {
	case "L":
		return dayRule{kind: lastDay}, nil
	case "LW", "WL":
		return dayRule{kind: lastWeekday}, nil
	}
	if day, ok := strings.CutSuffix(text, "W"); ok {
		n, err := monthday.value(day)
		return dayRule{kind: nearestWeekday, day: n}, err
	}
	set, err := monthday.bitset(text)
	return dayRule{kind: daysOfMonth, set: set}, err
}

func parseWeekday(text string) (dayRule, error) {
	if text == "L" { // the last day of the week
		return dayRule{kind: daysOfWeek, set: 1 << 7}, nil
	}
	if day, nth, ok := strings.Cut(text, "#"); ok {
		n, err := strconv.ParseUint(nth, 10, 8)
		if err != nil || n < 1 || n > 5 {
			return dayRule{}, weekdays.bad(text)
		}
		d, err := weekdays.value(day)
		return dayRule{kind: nthOfWeekday, day: d, nth: int(n)}, err
	}
	if day, ok := strings.CutSuffix(text, "L"); ok {
		d, err := weekdays.value(day)
		return dayRule{kind: lastOfWeekday, day: d}, err
	}
	set, err := weekdays.bitset(text)
	return dayRule{kind: daysOfWeek, set: set}, err
}

// days returns the due days of a month as a set.
func (r dayRule) days(year int, month time.Month) (set uint64) {
	n := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	first := int(time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).Weekday()) // of the 1st, from 0 for Sunday
	weekday := func(day int) int { return (first+day-1)%7 + 1 }
	if r.kind == daysOfMonth {
		return r.set & (1<<(n+1) - 1)
	}
	if r.kind == lastWeekday || r.kind == nearestWeekday {
		if day := r.workday(n, weekday); day > 0 {
			return 1 << day
		}
		return 0
	}
	for day := 1; day <= n; day++ {
		due := false
		switch r.kind {
		case lastDay:
			due = day == n
		case daysOfWeek:
			due = r.set>>weekday(day)&1 == 1
		case lastOfWeekday:
			due = weekday(day) == r.day && day+7 > n
		case nthOfWeekday:
			due = weekday(day) == r.day && (day-1)/7+1 == r.nth
		}
		if due {
			set |= 1 << day
		}
	}
	return set
}

// workday returns the day from Monday to Friday nearest to the one asked for in a month of n days, without leaving the
// month; 0 when the month has no such day.
func (r dayRule) workday(n int, weekday func(int) int) int {
	day := r.day
	if r.kind == lastWeekday {
		day = n
	}
	switch {
	case day > n:
		return 0
	case weekday(day) == 7 && day > 1:
		return day - 1
	case weekday(day) == 7:
		return day + 2
	case weekday(day) == 1 && day < n:
		return day + 1
	case weekday(day) == 1:
		return day - 2
	}
	return day
}

func (c *cron) year(y int) bool {
	return y >= firstYear && y <= lastYear && c.years[(y-firstYear)/64]>>((y-firstYear)%64)&1 == 1
}

// next returns the first due minute after t.
func (c *cron) next(t time.Time) (time.Time, bool) {
	t = t.Truncate(time.Minute).Add(time.Minute)
	if t.Year() < firstYear {
		t = time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	from := t // what lies before it in its own year, month, day and hour is over
	for y := from.Year(); y <= lastYear; y++ {
		if !c.year(y) {
			continue
		}
		for m := least(y == from.Year(), int(from.Month()), 1); m <= 12; m++ {
			if c.month>>m&1 == 0 {
				continue
			}
			same := y == from.Year() && m == int(from.Month())
			days := c.day.days(y, time.Month(m))
			for d := following(days, least(same, from.Day(), 1)); d < 64; d = following(days, d+1) {
				if due, ok := c.inDay(y, m, d, same && d == from.Day(), from); ok {
					return due, true
				}
			}
		}
	}
	return time.Time{}, false
}

// inDay returns the first due minute of a due day, not before from's when it is from's own day.
func (c *cron) inDay(y, m, d int, same bool, from time.Time) (time.Time, bool) {
	for h := following(c.hour, least(same, from.Hour(), 0)); h < 24; h = following(c.hour, h+1) {
		if i := following(c.minute, least(same && h == from.Hour(), from.Minute(), 0)); i < 60 {
			return time.Date(y, time.Month(m), d, h, i, 0, 0, time.UTC), true
		}
	}
	return time.Time{}, false
}

// last returns the last due minute that is not after t.
func (c *cron) last(t time.Time) (time.Time, bool) {
	if t.Year() > lastYear {
		t = time.Date(lastYear, 12, 31, 23, 59, 0, 0, time.UTC)
	}
	// Days before are looked at from their beginning, so the search for the last within a day is the only one backwards.
	for day := t.Truncate(24 * time.Hour); day.Year() >= firstYear; {
		y, m, d := day.Date()
		switch {
		case !c.year(y):
			day = time.Date(y, 1, 0, 0, 0, 0, 0, time.UTC)
			continue
		case c.month>>int(m)&1 == 0:
			day = time.Date(y, m, 0, 0, 0, 0, 0, time.UTC)
			continue
		}
		if c.day.days(y, m)>>d&1 == 1 {
			if due, ok := c.lastInDay(day, t); ok {
				return due, true
			}
		}
		day = day.AddDate(0, 0, -1)
	}
	return time.Time{}, false
}

func (c *cron) lastInDay(day, t time.Time) (time.Time, bool) {
	var found time.Time
	for h := following(c.hour, 0); h < 24; h = following(c.hour, h+1) {
		for i := following(c.minute, 0); i < 60; i = following(c.minute, i+1) {
			due := day.Add(time.Duration(h)*time.Hour + time.Duration(i)*time.Minute)
			if due.After(t) {
				return found, !found.IsZero()
			}
			found = due
		}
	}
	return found, !found.IsZero()
}

// following returns the least value in set that is not below v; 64 when there is none.
func following(set uint64, v int) int {
	if v >= 64 {
		return 64
	}
	if rest := set >> v; rest != 0 {
		return v + bits.TrailingZeros64(rest)
	}
	return 64
}

// least returns bound where it applies, else otherwise.
func least(applies bool, bound, otherwise int) int {
	if applies {
		return bound
	}
	return otherwise
}
