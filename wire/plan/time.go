package plan

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"lambent/wire/jsontext"
)

// ErrTime is the error of a timestamp that has no known form.
var ErrTime = errors.New("not a timestamp")

// iso8601 are the forms of dates that AWS's clients have been seen to send.
var iso8601 = []string{
	"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999Z07",
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02",
	"20060102T150405Z", "20060102",
}

var httpDates = []string{
	"Mon, 2 Jan 2006 15:04:05.999999999 GMT", "Mon, 2 Jan 2006 15:04:05 MST", "Mon, 2 Jan 2006 15:04:05 -0700",
	"Monday, 02-Jan-06 15:04:05 MST", "Mon Jan _2 15:04:05 2006",
}

// ParseTime reads a timestamp in the given format or, as AWS does, in any other that it knows.
func ParseTime(s string, f TimeFormat) (time.Time, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return time.Time{}, ErrTime
	}
	if f != ISO8601 { // "20140429" is a date there, and a number of seconds elsewhere
		if t, err := parseEpoch(s); err == nil {
			return t, nil
		}
	}
	forms := iso8601
	if s[0] >= 'A' {
		forms = httpDates
	}
	for _, form := range forms {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC(), nil
		}
	}
	return parseEpoch(s)
}

// ParseTimeExact reads a timestamp that must have the given format, as the JSON protocols want it: a decimal number of
// seconds, an ISO 8601 date and time in UTC with a Z, or an HTTP date.
func ParseTimeExact(s string, f TimeFormat) (time.Time, error) {
	switch f {
	case Epoch:
		return parseEpoch(s)
	case HTTPDate:
		t, err := time.Parse(httpDates[0], s)
		return t.UTC(), err
	}
	if !strings.HasSuffix(s, "Z") {
		return time.Time{}, ErrTime
	}
	t, err := time.Parse(iso8601[0], s)
	return t, err
}

// Years beyond these cannot be written in the other formats, and their nanoseconds overflow.
const minEpoch, maxEpoch = -62135596800, 253402300799

func parseEpoch(s string) (time.Time, error) {
	whole, frac, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err == nil && strings.Trim(frac, "0123456789") == "" {
		nano, _ := strconv.Atoi((frac + "000000000")[:9])
		if whole[0] == '-' {
			nano = -nano
		}
		return epoch(sec, int64(nano))
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) || math.Abs(v) > maxEpoch {
		return time.Time{}, ErrTime
	}
	w, f := math.Modf(v)
	return epoch(int64(w), int64(f*1e9))
}

func epoch(sec, nano int64) (time.Time, error) {
	if sec < minEpoch || sec > maxEpoch {
		return time.Time{}, ErrTime
	}
	return time.Unix(sec, nano).UTC(), nil
}

// AppendTime appends t: epoch seconds and ISO 8601 with milliseconds where there are some, HTTP dates without.
func AppendTime(b []byte, t time.Time, f TimeFormat) []byte {
	t = t.UTC()
	milli := t.Nanosecond() / 1e6
	switch f {
	case HTTPDate:
		return t.AppendFormat(b, "Mon, 02 Jan 2006 15:04:05 GMT")
	case ISO8601:
		if milli == 0 {
			return t.AppendFormat(b, "2006-01-02T15:04:05Z")
		}
		b = t.AppendFormat(b, "2006-01-02T15:04:05.000")
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
		return append(b, 'Z')
	}
	return jsontext.AppendEpoch(b, t)
}

// Or returns f, or def where f leaves the format open.
func (f TimeFormat) Or(def TimeFormat) TimeFormat {
	if f == DefaultTime {
		return def
	}
	return f
}
