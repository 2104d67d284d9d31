package logfilter_test

import (
	"errors"
	"testing"

	"lambent/lang/logfilter"
)

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, message string
		want             bool
	}{
		{"", "anything", true},
		{"ERROR", "[ERROR] no such file", true},
		{"ERROR", "[error] no such file", false},
		{"ERROR file", "[ERROR] no such file", true},
		{"ERROR disk", "[ERROR] no such file", false},
		{"?ERROR ?WARN", "WARN: low", true},
		{"?ERROR ?WARN", "INFO: fine", false},
		{"ERROR -file", "[ERROR] no such file", false},
		{"-file", "[ERROR] no such disk", true},
		{`"no such file"`, "[ERROR] no such file", true},
		{`"such no"`, "[ERROR] no such file", false},
		{`"say \"hi\""`, `say "hi"`, true},
		{"%AUTH[0-9]+%", "code AUTH17", true},
		{"%AUTH[0-9]+%", "code AUTH", false},
		{"?ERROR request", "a request", true},
	} {
		p, err := logfilter.Parse(tt.pattern)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.pattern, err)
			continue
		}
		if got := p.Matches(tt.message); got != tt.want {
			t.Errorf("pattern %q, message %q: got %v, want %v", tt.pattern, tt.message, got, tt.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for pattern, want := range map[string]error{
		`{ $.level = "error" }`: logfilter.ErrNotImplemented,
		`[ip, user]`:            logfilter.ErrNotImplemented,
		`"open`:                 logfilter.ErrSyntax,
		`%open`:                 logfilter.ErrSyntax,
		`%(%`:                   logfilter.ErrSyntax,
		`a=b`:                   logfilter.ErrSyntax,
		`? x`:                   logfilter.ErrSyntax,
	} {
		if _, err := logfilter.Parse(pattern); !errors.Is(err, want) {
			t.Errorf("Parse(%q): got %v, want %v", pattern, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "ERROR -x ?y", `"a b" %c.*%`, `{ $.x = 1 }`} {
		f.Add(s, "a message")
	}
	f.Fuzz(func(t *testing.T, pattern, message string) {
		if p, err := logfilter.Parse(pattern); err == nil {
			p.Matches(message)
		}
	})
}
