package plan

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// A Pattern is a regular expression of an API model. Models write them in Java's syntax and services
// match the whole value with them. It is compiled when it is first used: most never are.
type Pattern struct {
	Source string

	once  sync.Once
	match func(string) bool
	err   error
}

// Match tells whether all of s matches. A pattern that cannot be enforced matches everything; Err says so.
func (p *Pattern) Match(s string) bool {
	p.once.Do(p.compile)
	return p.match == nil || p.match(s)
}

// ErrRelaxed marks a pattern that is enforced but for a part that Go's regular expressions lack: it admits more than
// the model does.
var ErrRelaxed = errors.New("enforced in part")

// Err returns nil for a pattern that is enforced exactly, an error that is ErrRelaxed for one that
// is enforced in part, and another for one that is not enforced at all.
func (p *Pattern) Err() error {
	p.once.Do(p.compile)
	return p.err
}

func (p *Pattern) compile() {
	t, err := translate(p.Source, false)
	if err != nil {
		p.err = err
		return
	}
	if m := repeatedClass(t.out.String()); m != nil && len(t.guards) == 0 {
		p.match, p.err = m.matches, t.relaxed
		return
	}
	re, err := whole(t)
	if se, ok := errors.AsType[*syntax.Error](err); ok && se.Code == syntax.ErrInvalidRepeatSize {
		if t, err = translate(p.Source, true); err == nil {
			re, err = whole(t)
		}
	}
	if err != nil {
		p.err = err
		return
	}
	p.err = t.relaxed
	p.match = func(s string) bool { return re.MatchString(s) && t.guarded(s) }
}

func whole(t *translator) (*regexp.Regexp, error) {
	return regexp.Compile(`^(?:` + t.out.String() + `)$`)
}

// class is the most common pattern by far: characters of one set, so many times. It is matched by hand,
// because the regexp package copies the set for each repetition and stops at 1,000.
type class struct {
	ranges   []rune // pairs
	min, max int    // max -1 is no bound
}

var classForm = regexp.MustCompile(`^\^?(\[(?:[^\[\]\\]|\\.)*\]|\\[wdsS]|\.)(\*|\+|\?|\{\d+(?:,\d*)?\})?\$?$`)

// repeatedClass returns the class that src is, or nil.
func repeatedClass(src string) *class {
	parts := classForm.FindStringSubmatch(src)
	if parts == nil {
		return nil
	}
	re, err := syntax.Parse(parts[1], syntax.Perl)
	if err != nil {
		return nil
	}
	c := &class{min: 1, max: 1}
	switch re.Op {
	case syntax.OpCharClass:
		c.ranges = re.Rune
	case syntax.OpAnyCharNotNL:
		c.ranges = []rune{0, '\n' - 1, '\n' + 1, utf8.MaxRune}
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase != 0 {
			return nil
		}
		c.ranges = []rune{re.Rune[0], re.Rune[0]}
	default:
		return nil
	}
	switch q := parts[2]; {
	case q == "*":
		c.min, c.max = 0, -1
	case q == "+":
		c.max = -1
	case q == "?":
		c.min = 0
	case q != "":
		lo, hi, ranged := strings.Cut(q[1:len(q)-1], ",")
		c.min, _ = strconv.Atoi(lo)
		c.max = c.min
		if ranged {
			if c.max = -1; hi != "" {
				c.max, _ = strconv.Atoi(hi)
			}
		}
	}
	return c
}

func (c *class) matches(s string) bool {
	n := 0
	for _, r := range s {
		if !c.has(r) {
			return false
		}
		n++
	}
	return n >= c.min && (c.max < 0 || n <= c.max)
}

func (c *class) has(r rune) bool {
	for i := 0; i < len(c.ranges); i += 2 {
		if c.ranges[i] <= r && r <= c.ranges[i+1] {
			return true
		}
	}
	return false
}
