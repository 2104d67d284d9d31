package schedule_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"lambent/lang/schedule"
)

func TestParse(t *testing.T) {
	for _, expr := range []string{
		"rate(1 minute)", "rate(5 minutes)", "rate(1 hour)", "rate(2 hours)", "rate(1 day)", "rate(30 days)", "at(2026-03-01T12:00:00)",
		// Accepted by AWS, as recorded in test_events_schedule.
		"cron(0 20 * * ? *)", "cron(* * ? * SAT#3 *)", "cron(0 10 * * ? *)", "cron(0 18 ? * MON-FRI *)", "cron(0 2 ? * SAT *)",
		"cron(0 8 1 * ? *)", "cron(0/10 * ? * MON-FRI *)", "cron(0/15 * * * ? *)", "cron(0/30 0-2 ? * MON-FRI *)", "cron(0/5 5 ? JAN 1-5 2022)",
		"cron(15 10 ? * 6L 2002-2005)", "cron(5,35 14 * * ? *)",
		"cron(0 0 L * ? *)", "cron(0 0 LW * ? *)", "cron(0 0 15W * ? *)", "cron(0 0 ? * L *)", "cron(0 22-2 ? jan,Dec fri-MON 2026/2)", "cron(10-40/15 * 1/5 * ? *)",
	} {
		if _, err := schedule.Parse(expr); err != nil {
			t.Errorf("%s: %v", expr, err)
		}
	}
	for _, expr := range []string{
		"", "rate", "rate()", "rate(10)", "rate(0 minutes)", "rate(-10 minutes)", "rate(+1 minute)", "rate(1 minutes)", "rate(10 minute)", "rate(1 hours)", "rate(10 seconds)", "rate(1 s)",
		"rate(10 years)", "rate( 10 minutes )", " rate(10 minutes)", "rate(10 minutes) ", "rate(10  minutes)", "rate(10 MINUTES)", "rate(foo minutes)", "rate(10 minutess)", "rate(99999999 days)",
		"cron()", "cron(INVALID)", "cron(0 1 * * * *)", "cron(0 1 ? * ? *)", "cron(7 20 * * NOT *)", "cron(0 dummy ? * MON-FRI *)", "cron(71 8 1 * ? *)", "cron(0 24 * * ? *)", "cron(0 0 0 * ? *)",
		"cron(0 0 32 * ? *)", "cron(0 0 * 13 ? *)", "cron(0 0 ? * 8 *)", "cron(0 0 ? * 0 *)", "cron(0 0 * * ? 1969)", "cron(0 0 * * ? 2200)", "cron(0 0 * * ? 2030-2020)", "cron(0 0 * * ?)", "cron(0 0 * * ? * *)",
		"cron(*/0 0 * * ? *)", "cron(0/60 0 * * ? *)", "cron(1,,2 0 * * ? *)", "cron(0 0 ? * 6#6 *)", "cron(0 0 ? * 6#0 *)", "cron(0 0 ? * 3#1,6#3 *)", "cron(0 0 1,L * ? *)", "cron(0 0 W * ? *)", "cron(? 0 * * ? *)",
		"0 20 * * ? *", "at(2026-03-01)", "at(2026-02-30T12:00:00)", "at(2026-03-01T12:00:00Z)", "at(2026-03-01T12:00:00.5)",
	} {
		if _, err := schedule.Parse(expr); !errors.Is(err, schedule.ErrInvalid) {
			t.Errorf("%q: got %v, want ErrInvalid", expr, err)
		}
	}
}

func TestNext(t *testing.T) {
	const layout = "2006-01-02 15:04:05"
	for _, tt := range []struct{ expr, after, want string }{
		{"rate(5 minutes)", "2026-03-01 12:00:30", "2026-03-01 12:05:30"},
		{"at(2026-03-01T12:00:00)", "2026-03-01 11:59:59", "2026-03-01 12:00:00"},
		{"at(2026-03-01T12:00:00)", "2026-03-01 12:00:00", ""},
		{"cron(0 10 * * ? *)", "2026-03-01 09:59:59", "2026-03-01 10:00:00"},
		{"cron(0 10 * * ? *)", "2026-03-01 10:00:00", "2026-03-02 10:00:00"},
		{"cron(0 0 29 2 ? *)", "2026-03-01 10:00:00", "2028-02-29 00:00:00"},
		{"cron(0 0 30 2 ? *)", "2026-03-01 10:00:00", ""},
		{"cron(0 0 L * ? *)", "2026-02-01 00:00:00", "2026-02-28 00:00:00"},
		{"cron(0 0 LW * ? *)", "2026-02-01 00:00:00", "2026-02-27 00:00:00"}, // the 28th is a Saturday
		{"cron(0 0 LW * ? *)", "2026-05-01 00:00:00", "2026-05-29 00:00:00"}, // the 31st is a Sunday
		{"cron(0 0 1W * ? *)", "2026-07-31 00:00:00", "2026-08-03 00:00:00"}, // the 1st is a Saturday
		{"cron(0 0 15W * ? *)", "2026-03-01 00:00:00", "2026-03-16 00:00:00"},
		{"cron(0 0 ? * 6L *)", "2026-02-01 00:00:00", "2026-02-27 00:00:00"},
		{"cron(0 0 ? * SAT#3 *)", "2026-02-01 00:00:00", "2026-02-21 00:00:00"},
		{"cron(0 0 ? * MON#5 *)", "2026-02-01 00:00:00", "2026-03-30 00:00:00"},
		{"cron(15 10 ? * 6L 2002-2005)", "2026-02-01 00:00:00", ""},
		{"cron(59 23 31 12 ? 2199)", "2026-02-01 00:00:00", "2199-12-31 23:59:00"},
		{"cron(0 0 1 1 ? 2199)", "2199-01-01 00:00:00", ""},
	} {
		s, err := schedule.Parse(tt.expr)
		if err != nil {
			t.Fatal(err)
		}
		after, _ := time.Parse(layout, tt.after)
		got := ""
		if due, ok := s.Next(after); ok {
			got = due.Format(layout)
		}
		if got != tt.want {
			t.Errorf("%s after %s: got %q, want %q", tt.expr, tt.after, got, tt.want)
		}
	}
}

func TestLatest(t *testing.T) {
	at := func(s string) time.Time {
		tm, err := time.Parse("2006-01-02 15:04:05", s)
		if err != nil {
			t.Fatal(err)
		}
		return tm
	}
	for _, tt := range []struct{ expr, due, now, want string }{
		{"rate(5 minutes)", "2026-03-01 12:00:00", "2026-03-01 12:04:59", "2026-03-01 12:00:00"},
		{"rate(5 minutes)", "2026-03-01 12:00:00", "2026-03-02 12:06:00", "2026-03-02 12:05:00"},
		{"cron(0/5 * * * ? *)", "2026-03-01 12:00:00", "2026-03-02 12:06:00", "2026-03-02 12:05:00"},
		{"cron(0 0 29 2 ? *)", "2024-02-29 00:00:00", "2026-03-02 12:06:00", "2024-02-29 00:00:00"},
		{"cron(0 12 ? * MON *)", "2026-03-02 12:00:00", "2026-03-30 11:59:59", "2026-03-23 12:00:00"},
	} {
		s, err := schedule.Parse(tt.expr)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Latest(at(tt.due), at(tt.now)); !got.Equal(at(tt.want)) {
			t.Errorf("%s due %s at %s: got %v, want %s", tt.expr, tt.due, tt.now, got, tt.want)
		}
	}
}

// slow is a cron expression judged minute by minute, written as the user guide says it and nothing like the parser.
type slow struct {
	minute, hour, month, year func(int) bool
	day                       func(time.Time) bool
}

func (s slow) due(t time.Time) bool {
	return s.minute(t.Minute()) && s.hour(t.Hour()) && s.month(int(t.Month())) && s.year(t.Year()) && s.day(t)
}

// pick writes a random field of values from lo to hi, and its meaning.
func pick(rnd *rand.Rand, lo, hi int) (string, func(int) bool) {
	a := lo + rnd.IntN(hi-lo+1)
	b := lo + rnd.IntN(hi-lo+1)
	n := 1 + rnd.IntN(hi)
	switch rnd.IntN(6) {
	case 0:
		return "*", func(int) bool { return true }
	case 1:
		return fmt.Sprint(a), func(v int) bool { return v == a }
	case 2:
		return fmt.Sprintf("%d,%d", a, b), func(v int) bool { return v == a || v == b }
	case 3:
		a, b = min(a, b), max(a, b)
		return fmt.Sprintf("%d-%d", a, b), func(v int) bool { return a <= v && v <= b }
	case 4:
		return fmt.Sprintf("%d/%d", a, n), func(v int) bool { return v >= a && (v-a)%n == 0 }
	}
	return fmt.Sprintf("*/%d", n), func(v int) bool { return (v-lo)%n == 0 }
}

func workday(t time.Time) bool { return t.Weekday() != time.Saturday && t.Weekday() != time.Sunday }

// pickDay writes random fields for the day of the month and of the week.
func pickDay(rnd *rand.Rand) (month, week string, due func(time.Time) bool) {
	d, w, n := 1+rnd.IntN(31), 1+rnd.IntN(7), 1+rnd.IntN(5)
	last := func(t time.Time) int { return time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day() }
	switch rnd.IntN(7) {
	case 0:
		return "L", "?", func(t time.Time) bool { return t.Day() == last(t) }
	case 1:
		return "LW", "?", func(t time.Time) bool {
			for x := last(t); ; x-- {
				if day := time.Date(t.Year(), t.Month(), x, 0, 0, 0, 0, time.UTC); workday(day) {
					return t.Day() == x
				}
			}
		}
	case 2:
		return fmt.Sprintf("%dW", d), "?", func(t time.Time) bool {
			if d > last(t) {
				return false
			}
			for _, off := range []int{0, -1, 1, -2, 2} { // the nearest; before wins over after at the same distance, but never is needed
				x := d + off
				if x >= 1 && x <= last(t) && workday(time.Date(t.Year(), t.Month(), x, 0, 0, 0, 0, time.UTC)) {
					return t.Day() == x
				}
			}
			return false
		}
	case 3:
		return "?", fmt.Sprintf("%dL", w), func(t time.Time) bool { return int(t.Weekday())+1 == w && t.AddDate(0, 0, 7).Month() != t.Month() }
	case 4:
		return "?", fmt.Sprintf("%d#%d", w, n), func(t time.Time) bool {
			return int(t.Weekday())+1 == w && t.AddDate(0, 0, -7*(n-1)).Month() == t.Month() && t.AddDate(0, 0, -7*n).Month() != t.Month()
		}
	case 5:
		text, is := pick(rnd, 1, 7)
		return "?", text, func(t time.Time) bool { return is(int(t.Weekday()) + 1) }
	}
	text, is := pick(rnd, 1, 31)
	return text, "?", func(t time.Time) bool { return is(t.Day()) }
}

// Random expressions over two years, against the slow judge, at every minute at which they are due.
func TestCronAgainstBruteForce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	rounds := 60
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		var s slow
		p := make([]string, 6)
		p[0], s.minute = pick(rnd, 0, 59)
		p[1], s.hour = pick(rnd, 0, 23)
		p[2], p[4], s.day = pickDay(rnd)
		p[3], s.month = pick(rnd, 1, 12)
		p[5], s.year = "*", func(int) bool { return true }
		if rnd.IntN(3) == 0 {
			p[5], s.year = "2027-2028", func(y int) bool { return y == 2027 || y == 2028 }
		}
		expr := "cron(" + strings.Join(p, " ") + ")"
		c, err := schedule.Parse(expr)
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		start := time.Date(2026+rnd.IntN(3), time.Month(1+rnd.IntN(12)), 1+rnd.IntN(28), rnd.IntN(24), rnd.IntN(60), rnd.IntN(60), 0, time.UTC)
		end := start.AddDate(1, 0, 0)
		at := start
		for m := start.Truncate(time.Minute).Add(time.Minute); m.Before(end); m = m.Add(time.Minute) {
			if !s.due(m) {
				continue
			}
			if got, ok := c.Next(at); !ok || !got.Equal(m) {
				t.Fatalf("%s after %v: got %v, %v, want %v", expr, at, got, ok, m)
			}
			if got := c.Latest(start.AddDate(-9, 0, 0), m.Add(30*time.Second)); !got.Equal(m) {
				t.Fatalf("%s: latest at %v: got %v", expr, m.Add(30*time.Second), got)
			}
			at = m
		}
		if got, ok := c.Next(at); ok && got.Before(end) {
			t.Fatalf("%s after %v: got %v, want none before %v", expr, at, got, end)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, expr := range []string{"rate(5 minutes)", "cron(0/5 5 ? JAN 1-5 2022)", "cron(15 10 ? * 6L 2002-2005)", "cron(0 0 15W * ? *)", "at(2026-03-01T12:00:00)"} {
		f.Add(expr, int64(1_800_000_000))
	}
	f.Fuzz(func(t *testing.T, expr string, unix int64) {
		s, err := schedule.Parse(expr)
		if err != nil {
			return
		}
		at := time.Unix(unix%10_000_000_000, 0)
		due, ok := s.Next(at)
		if ok && !due.After(at) {
			t.Errorf("%s after %v: %v", expr, at, due)
		}
		if !ok || s.Kind() == schedule.At {
			return
		}
		if got := s.Latest(due, due); !got.Equal(due) {
			t.Errorf("%s: latest at %v: %v", expr, due, got)
		}
	})
}
