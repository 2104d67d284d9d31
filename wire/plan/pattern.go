package plan

import (
	"errors"
	"fmt"
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

// ErrRelaxed marks a pattern that is enforced but for the counts of a long repetition.
var ErrRelaxed = errors.New("long repetitions are not counted")

// Err returns nil for a pattern that is enforced exactly, an error that is ErrRelaxed for one that
// admits more than the model does, and another for one that cannot be enforced.
func (p *Pattern) Err() error {
	p.once.Do(p.compile)
	return p.err
}

func (p *Pattern) compile() {
	src, err := translate(p.Source, false)
	if err != nil {
		p.err = err
		return
	}
	if m := repeatedClass(src); m != nil {
		p.match = m.matches
		return
	}
	re, err := regexp.Compile(`^(?:` + src + `)$`)
	if se, ok := errors.AsType[*syntax.Error](err); ok && se.Code == syntax.ErrInvalidRepeatSize {
		src, _ = translate(p.Source, true)
		if re, err = regexp.Compile(`^(?:` + src + `)$`); err == nil {
			p.err = ErrRelaxed
		}
	}
	if err != nil {
		p.err = err
		return
	}
	p.match = re.MatchString
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

// translator rewrites a Java pattern for the regexp package.
type translator struct {
	src     string
	out     strings.Builder
	inClass bool
	relax   bool
}

// translate returns src in Go's syntax, or an error that names what Go cannot do. With relax,
// repetition counts above what Go takes become open ends.
func translate(src string, relax bool) (string, error) {
	t := translator{src: src, relax: relax}
	for t.src != "" {
		if err := t.step(); err != nil {
			return "", err
		}
	}
	return t.out.String(), nil
}

func (t *translator) step() error {
	switch s := t.src; {
	case s[0] == '\\':
		return t.escape()
	case t.inClass:
		return t.classChar()
	case s[0] == '[':
		t.inClass = true
		t.take(1)
		if strings.HasPrefix(t.src, "^") {
			t.take(1)
		}
		if strings.HasPrefix(t.src, "]") { // a first bracket is a member
			t.put(1, `\]`)
		}
	case strings.HasPrefix(s, "(?=") || strings.HasPrefix(s, "(?!") || strings.HasPrefix(s, "(?<=") || strings.HasPrefix(s, "(?<!"):
		return errors.New("lookaround is not supported")
	case strings.HasPrefix(s, "(?>"):
		return errors.New("atomic groups are not supported")
	case strings.ContainsRune("*+?", rune(s[0])):
		t.take(1)
		t.possessive()
	case s[0] == '{':
		t.repeat()
	default:
		t.take(1)
	}
	return nil
}

func (t *translator) classChar() error {
	switch s := t.src; {
	case strings.HasPrefix(s, "&&"):
		return errors.New("intersections of classes are not supported")
	case s[0] == ']':
		t.inClass = false
		t.take(1)
	case s[0] == '[' && !strings.HasPrefix(s, "[:"):
		t.put(1, `\[`)
	default:
		t.take(1)
	}
	return nil
}

// take copies n bytes, put replaces n bytes.
func (t *translator) take(n int) { t.put(n, t.src[:n]) }

func (t *translator) put(n int, s string) {
	t.out.WriteString(s)
	t.src = t.src[n:]
}

// possessive drops the plus that makes a quantifier possessive: for a match of the whole value it
// rarely matters, and Go has no backtracking that it could save.
func (t *translator) possessive() {
	if strings.HasPrefix(t.src, "+") {
		t.src = t.src[1:]
	}
}

var repeatForm = regexp.MustCompile(`^\{(\d+)(,(\d*))?\}`)

func (t *translator) repeat() {
	m := repeatForm.FindStringSubmatch(t.src)
	if m == nil {
		t.put(1, `\{`)
		return
	}
	lo, _ := strconv.Atoi(m[1])
	hi, _ := strconv.Atoi(m[3])
	switch {
	case !t.relax || lo <= 16 && hi <= 16:
		t.take(len(m[0]))
	case lo == 0:
		t.put(len(m[0]), "*")
	default:
		t.put(len(m[0]), "+")
	}
	t.possessive()
}

// posix are Java's names of ASCII classes.
var posix = map[string]string{
	"Lower": "a-z", "Upper": "A-Z", "ASCII": `\x00-\x7f`, "Alpha": "a-zA-Z", "Digit": "0-9", "Alnum": "a-zA-Z0-9",
	"Punct": `!-/:-@\[-` + "`" + `{-~`, "Graph": "!-~", "Print": " -~", "Blank": ` \t`, "Cntrl": `\x00-\x1f\x7f`,
	"XDigit": "0-9a-fA-F", "Space": `\t-\r `,
	"IsAlphabetic": `\p{L}\p{Nl}`, "IsLetter": `\p{L}`, "IsDigit": `\p{Nd}`, "IsWhite_Space": `\s\x{85}\p{Z}`,
	"IsPunctuation": `\p{P}`, "LD": `\p{L}\p{Nd}`, "L1": `\x00-\xff`, "IsLatin": `\p{Latin}`,
}

func (t *translator) escape() error {
	if len(t.src) < 2 {
		return errors.New("ends with a backslash")
	}
	switch c := t.src[1]; {
	case c == 'u':
		return t.unicode()
	case c == 'p' || c == 'P':
		return t.property(c)
	case c >= '1' && c <= '9':
		return errors.New("back references are not supported")
	case c == 'Z':
		t.put(2, `\z`)
	case c == 'h':
		t.set(2, ` \t\x{a0}\x{1680}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}`)
	case c == 'R' && !t.inClass:
		t.put(2, `(?:\r\n|[\n-\r\x{85}\x{2028}\x{2029}])`)
	case c == 'e':
		t.put(2, `\x1b`)
	default:
		t.take(2)
	}
	return nil
}

// set writes members of a class, inside one or alone.
func (t *translator) set(n int, members string) {
	if !t.inClass {
		members = "[" + members + "]"
	}
	t.put(n, members)
}

// unicode rewrites \uXXXX; two halves of a surrogate pair are one character, as in Java.
func (t *translator) unicode() error {
	r, err := codeUnit(t.src)
	if err != nil {
		return err
	}
	n := 6
	if r >= 0xd800 && r < 0xdc00 {
		low, err := codeUnit(t.src[6:])
		if err != nil || low < 0xdc00 || low > 0xdfff {
			return fmt.Errorf("%s is half a character", t.src[:6])
		}
		r, n = (r-0xd800)<<10+(low-0xdc00)+0x10000, 12
	}
	t.put(n, fmt.Sprintf(`\x{%x}`, r))
	return nil
}

func codeUnit(s string) (rune, error) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, errors.New(`bad \u escape`)
	}
	v, err := strconv.ParseUint(s[2:6], 16, 16)
	if err != nil {
		return 0, errors.New(`bad \u escape`)
	}
	return rune(v), nil
}

func (t *translator) property(c byte) error {
	if len(t.src) < 3 || t.src[2] != '{' {
		t.take(2)
		return nil
	}
	end := strings.IndexByte(t.src, '}')
	if end < 0 {
		return errors.New("unclosed property")
	}
	name := t.src[3:end]
	members, ok := posix[name]
	switch {
	case !ok:
		t.put(end+1, `\`+string(c)+`{`+strings.TrimPrefix(name, "Is")+`}`)
	case c == 'p':
		t.set(end+1, members)
	case t.inClass:
		return fmt.Errorf(`\P{%s} inside a class is not supported`, name)
	default:
		t.put(end+1, `[^`+members+`]`)
	}
	return nil
}
