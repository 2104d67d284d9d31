package plan

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// translator rewrites a Java pattern for the regexp package.
type translator struct {
	src     string
	out     strings.Builder
	inClass bool
	relax   bool // long repetitions become open ends

	guards  []guard
	relaxed error // what was left out, ErrRelaxed
}

// translate rewrites src in Go's syntax, or returns an error that names what Go cannot do.
func translate(src string, relax bool) (*translator, error) {
	t := &translator{src: src, relax: relax}
	for t.src != "" {
		if err := t.step(); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *translator) leaveOut(what string) {
	if t.relaxed == nil {
		t.relaxed = fmt.Errorf("%w: %s", ErrRelaxed, what)
	}
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
	case assertionForm.MatchString(s):
		return t.assertion()
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
	t.src = strings.TrimPrefix(t.src, "+")
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
		t.leaveOut("long repetitions are not counted")
	default:
		t.put(len(m[0]), "+")
		t.leaveOut("long repetitions are not counted")
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

// A guard is a lookaround at the very beginning or end of a pattern: the same as a second pattern.
type guard struct {
	re   *regexp.Regexp
	want bool
}

func (t *translator) guarded(s string) bool {
	for _, g := range t.guards {
		if g.re.MatchString(s) != g.want {
			return false
		}
	}
	return true
}

var assertionForm = regexp.MustCompile(`^\(\?<?[=!]`)

// assertion takes a lookaround out of the pattern. Where it cannot be a guard it is left out: what
// remains admits more.
func (t *translator) assertion() error {
	end := groupEnd(t.src)
	if end < 0 {
		return errors.New("unclosed group")
	}
	head := assertionForm.FindString(t.src)
	inner, err := translate(t.src[len(head):end], false)
	if err != nil {
		return err
	}
	before, after := t.out.String(), t.src[end+1:]
	t.src = after
	text, behind := inner.out.String(), strings.Contains(head, "<")
	switch {
	case inner.relaxed != nil || len(inner.guards) > 0:
		t.leaveOut("nested lookaround")
		return nil
	case !behind && strings.Trim(before, "^(") == "" && certain(strings.Count(before, "("), after):
		text = `^(?:` + text + `)`
	case behind && strings.Trim(after, "$") == "" && !strings.Contains(before, "|"):
		text = `(?:` + text + `)$`
	default:
		t.leaveOut("lookaround within the pattern")
		return nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return err
	}
	t.guards = append(t.guards, guard{re, strings.HasSuffix(head, "=")})
	return nil
}

// certain tells whether every match goes through what stands before rest, inside open groups: no
// alternative leads around it and none of the groups is optional.
func certain(open int, rest string) bool {
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case '[':
			if end := classEnd(rest[i:]); end > 0 {
				i += end
			}
		case '(':
			if end := groupEnd(rest[i:]); end > 0 {
				i += end
			}
		case '|':
			return false
		case ')':
			open--
			if i+1 < len(rest) && strings.ContainsRune("?*{", rune(rest[i+1])) {
				return false
			}
		}
	}
	return open <= 0
}

// groupEnd returns the index of the parenthesis that closes the group with which s begins, or -1.
func groupEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '[':
			if end := classEnd(s[i:]); end > 0 {
				i += end
			}
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// classEnd returns the index of the bracket that closes the class with which s begins, or -1.
func classEnd(s string) int {
	i := 1
	if strings.HasPrefix(s[i:], "^") {
		i++
	}
	if strings.HasPrefix(s[i:], "]") {
		i++
	}
	for ; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ']':
			return i
		}
	}
	return -1
}
