package cli

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestPaintedTablesAreAligned(t *testing.T) {
	o := &overview{Stacks: []stackRow{{Name: "web", Status: "CREATE_COMPLETE", Reason: "A"}, {Name: "api-production", Status: "UPDATE_ROLLBACK_COMPLETE", Reason: "B"}}}
	r := &Report{Checks: []Check{{"a", "memory", "missing", "none", "run as root"}, {"a", "files", "ok", "1024", ""}}}
	codes := regexp.MustCompile("\x1b\\[[0-9]+m")
	var looks [2]string
	for i, p := range []paint{false, true} {
		var b bytes.Buffer
		if err := o.write(&b, p); err != nil {
			t.Fatal(err)
		}
		if err := r.write(&b, p); err != nil {
			t.Fatal(err)
		}
		if bool(p) != codes.MatchString(b.String()) {
			t.Errorf("painted %v: %q", p, b.String())
		}
		looks[i] = regexp.MustCompile(" +").ReplaceAllString(codes.ReplaceAllString(b.String(), ""), " ")
		at := map[int]bool{}
		for line := range strings.Lines(codes.ReplaceAllString(b.String(), "")) {
			for _, reason := range []string{"REASON", "  A", "  B"} {
				if n := strings.Index(line, reason); n > 0 {
					at[n+strings.Index(reason, strings.TrimSpace(reason))] = true
				}
			}
		}
		if len(at) != 1 {
			t.Errorf("the reasons stand at %v in\n%s", at, b.String())
		}
	}
	if looks[0] != looks[1] {
		t.Errorf("colours change what is said:\n%s\n%s", looks[0], looks[1])
	}
}

func TestPaint(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // a character device, as a terminal is
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, tt := range []struct {
		environ []string
		want    paint
	}{
		{[]string{"TERM=xterm"}, true},
		{[]string{"TERM=xterm", "NO_COLOR="}, true},
		{[]string{"TERM=xterm", "NO_COLOR=1"}, false},
		{[]string{"TERM=dumb"}, false},
		{nil, false},
	} {
		d := &Deps{Environ: tt.environ}
		if got := d.paint(null); got != tt.want {
			t.Errorf("%q: %v", tt.environ, got)
		}
		if d.paint(&bytes.Buffer{}) {
			t.Error("a buffer is painted")
		}
	}
}
