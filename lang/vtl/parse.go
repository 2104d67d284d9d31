package vtl

import (
	"strconv"
	"strings"
)

const maxNesting = 64 // directives, parentheses and strings within each other

// Parse reads a template.
func Parse(source string) (*Template, error) {
	p := &parser{src: source}
	if len(source) > MaxTemplate {
		return nil, p.fail("the template is longer than 300 KB")
	}
	body, end, err := p.body(false)
	if err != nil {
		return nil, err
	}
	if end != "" {
		return nil, p.fail("#" + end + " without a beginning")
	}
	return &Template{body: body}, nil
}

type parser struct {
	src    string
	at     int
	nested int
}

func (p *parser) fail(message string) error {
	before := p.src[:min(p.at, len(p.src))]
	return &SyntaxError{
		Line:    1 + strings.Count(before, "\n"),
		Column:  len(before) - strings.LastIndexByte(before, '\n'),
		Message: message,
	}
}

func (p *parser) rest() string { return p.src[p.at:] }

func (p *parser) peek() byte {
	if p.at < len(p.src) {
		return p.src[p.at]
	}
	return 0
}

func (p *parser) eat(s string) bool {
	if strings.HasPrefix(p.rest(), s) {
		p.at += len(s)
		return true
	}
	return false
}

func (p *parser) enter() error {
	if p.nested++; p.nested > maxNesting {
		return p.fail("nested too deeply")
	}
	return nil
}

func (p *parser) leave() { p.nested-- }

// body reads nodes up to the end of the text, or, inside a block, up to the directive that ends or divides it, whose
// name it returns.
func (p *parser) body(block bool) (nodes []node, end string, err error) {
	if err := p.enter(); err != nil {
		return nil, "", err
	}
	defer p.leave()
	start := p.at
	flush := func(to int) {
		if to > start {
			nodes = append(nodes, text(p.src[start:to]))
		}
	}
	for p.at < len(p.src) {
		i := strings.IndexAny(p.rest(), `$#\`)
		if i < 0 {
			p.at = len(p.src)
			break
		}
		p.at += i
		from := p.at
		n, end, ok, err := p.special(from)
		if err != nil {
			return nil, "", err
		}
		if !ok {
			continue // p stands behind what is plain text
		}
		if _, isSet := n.(setNode); isSet {
			from = trimBlanks(p.src, start, from) // Velocity swallows the indentation of #set
		}
		flush(from)
		start = p.at
		if end != "" {
			return nodes, end, nil
		}
		if n != nil {
			nodes = append(nodes, n)
		}
	}
	flush(len(p.src))
	if block {
		return nil, "", p.fail("#end is missing")
	}
	return nodes, "", nil
}

func trimBlanks(s string, start, end int) int {
	for end > start && (s[end-1] == ' ' || s[end-1] == '\t') {
		end--
	}
	return end
}

// special reads what begins with $, # or a backslash at p.at. ok is false, and p behind it, when it is plain text.
func (p *parser) special(from int) (n node, end string, ok bool, err error) {
	escapes := 0
	for p.peek() == '\\' {
		p.at++
		escapes++
	}
	switch {
	case p.peek() == '$':
		ref, err := p.reference()
		if ref == nil || err != nil {
			return nil, "", false, err
		}
		ref.escapes = escapes
		return ref, "", true, nil
	case p.peek() != '#':
		return nil, "", false, nil
	case escapes > 0:
		return p.escapedDirective(from, escapes)
	case strings.HasPrefix(p.rest(), "##"):
		p.skipLine()
		return nil, "", true, nil
	case strings.HasPrefix(p.rest(), "#*"):
		i := strings.Index(p.rest()[2:], "*#")
		if i < 0 {
			p.at = len(p.src)
		} else {
			p.at += i + 4
		}
		return nil, "", true, nil
	case strings.HasPrefix(p.rest(), "#[["):
		return p.unparsed()
	}
	return p.directive()
}

// unparsed reads #[[text]]#.
func (p *parser) unparsed() (node, string, bool, error) {
	i := strings.Index(p.rest(), "]]#")
	if i < 0 {
		return nil, "", false, p.fail("#[[ does not end")
	}
	t := text(p.src[p.at+3 : p.at+i])
	p.at += i + 3
	return t, "", true, nil
}

// escapedDirective reads \#if: the directive's text, one backslash less.
func (p *parser) escapedDirective(from, escapes int) (node, string, bool, error) {
	p.at++
	if !known(p.word()) {
		return nil, "", false, nil
	}
	hash := from + escapes
	return text(strings.Repeat(`\`, escapes/2) + p.src[hash:p.at]), "", true, nil
}

func (p *parser) skipLine() {
	i := strings.IndexAny(p.rest(), "\r\n")
	if i < 0 {
		p.at = len(p.src)
		return
	}
	p.at += i
	p.newline()
}

// newline skips one line end, if there is one.
func (p *parser) newline() {
	if !p.eat("\r\n") && !p.eat("\n") {
		p.eat("\r")
	}
}

// lineRest skips blanks and the line end behind them; nothing when something else follows.
func (p *parser) lineRest() {
	start := p.at
	for p.peek() == ' ' || p.peek() == '\t' {
		p.at++
	}
	if c := p.peek(); c != '\n' && c != '\r' {
		p.at = start
		return
	}
	p.newline()
}

func (p *parser) word() string {
	start := p.at
	for isLetter(p.peek()) {
		p.at++
	}
	return p.src[start:p.at]
}

func known(directive string) bool {
	switch directive {
	case "set", "if", "elseif", "else", "end", "foreach", "define", "break", "stop", "macro", "parse", "include", "evaluate", "literal":
		return true
	}
	return false
}

// directive reads #name or #{name}; a # that begins none is plain text.
func (p *parser) directive() (n node, end string, ok bool, err error) {
	p.at++
	start := p.at
	braced := p.eat("{")
	name := p.word()
	if !known(name) || (braced && !p.eat("}")) {
		p.at = start
		return nil, "", false, nil
	}
	switch name {
	case "end", "else":
		p.lineRest()
		return nil, name, true, nil
	case "break":
		return breakNode{}, "", true, nil
	case "stop":
		return stopNode{}, "", true, nil
	case "elseif":
		return nil, name, true, nil
	case "set":
		n, err = p.set()
	case "if":
		n, err = p.ifBlock()
	case "foreach":
		n, err = p.foreach()
	case "define":
		n, err = p.define()
	default:
		return nil, "", false, p.fail("#" + name + " is not supported")
	}
	return n, "", true, err
}

func (p *parser) open() error {
	p.blanks()
	if !p.eat("(") {
		return p.fail("( must follow")
	}
	return nil
}

// close reads the ) of a directive and, as Velocity does, the rest of an otherwise empty line.
func (p *parser) close() error {
	p.blanks()
	if !p.eat(")") {
		return p.fail(") must follow")
	}
	p.lineRest()
	return nil
}

func (p *parser) set() (node, error) {
	if err := p.open(); err != nil {
		return nil, err
	}
	p.blanks()
	target, err := p.reference()
	if err != nil {
		return nil, err
	}
	if target == nil {
		return nil, p.fail("#set needs a reference")
	}
	p.blanks()
	if !p.eat("=") {
		return nil, p.fail("= must follow")
	}
	value, err := p.expression()
	if err != nil {
		return nil, err
	}
	return setNode{target, value}, p.close()
}

func (p *parser) condition() (expr, error) {
	if err := p.open(); err != nil {
		return nil, err
	}
	c, err := p.expression()
	if err != nil {
		return nil, err
	}
	return c, p.close()
}

func (p *parser) ifBlock() (node, error) {
	var n ifNode
	c, err := p.condition()
	for {
		if err != nil {
			return nil, err
		}
		body, end, err := p.body(true)
		if err != nil {
			return nil, err
		}
		n.branches = append(n.branches, branch{c, body})
		switch end {
		case "end":
			return n, nil
		case "elseif":
			if c, err = p.condition(); err != nil {
				return nil, err
			}
		case "else":
			body, err := p.block()
			if err != nil {
				return nil, err
			}
			n.branches = append(n.branches, branch{nil, body})
			return n, nil
		}
	}
}

// block reads a body that only #end may close.
func (p *parser) block() ([]node, error) {
	body, end, err := p.body(true)
	if err == nil && end != "end" {
		err = p.fail("#" + end + " without #if")
	}
	return body, err
}

func (p *parser) foreach() (node, error) {
	if err := p.open(); err != nil {
		return nil, err
	}
	p.blanks()
	v, err := p.reference()
	if err != nil {
		return nil, err
	}
	if v == nil || len(v.steps) > 0 {
		return nil, p.fail("#foreach needs a plain reference")
	}
	p.blanks()
	if p.word() != "in" {
		return nil, p.fail("in must follow")
	}
	list, err := p.expression()
	if err != nil {
		return nil, err
	}
	if err := p.close(); err != nil {
		return nil, err
	}
	body, err := p.block()
	return foreachNode{v.name, list, body}, err
}

func (p *parser) define() (node, error) {
	if err := p.open(); err != nil {
		return nil, err
	}
	p.blanks()
	v, err := p.reference()
	if err != nil {
		return nil, err
	}
	if v == nil || len(v.steps) > 0 {
		return nil, p.fail("#define needs a plain reference")
	}
	if err := p.close(); err != nil {
		return nil, err
	}
	body, err := p.block()
	return defineNode{v.name, body}, err
}

// blanks skips white space inside a directive.
func (p *parser) blanks() {
	for p.at < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.at]) >= 0 {
		p.at++
	}
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// identifier reads a name; a hyphen belongs to it, as in Velocity.
func (p *parser) identifier() string {
	start := p.at
	if c := p.peek(); !isLetter(c) && c != '_' {
		return ""
	}
	for c := p.peek(); isLetter(c) || isDigit(c) || c == '_' || c == '-'; c = p.peek() {
		p.at++
	}
	return p.src[start:p.at]
}

// reference reads $x…; nil, and p behind the $, when what follows is no name.
func (p *parser) reference() (*reference, error) {
	start := p.at
	if !p.eat("$") {
		return nil, nil
	}
	behind := p.at
	ref := &reference{quiet: p.eat("!")}
	braced := p.eat("{")
	if ref.name = p.identifier(); ref.name == "" {
		p.at = behind
		return nil, nil
	}
	for {
		s, ok, err := p.step()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		ref.steps = append(ref.steps, s)
	}
	if braced && !p.eat("}") {
		p.at = behind
		return nil, nil
	}
	ref.source = p.src[start:p.at]
	return ref, nil
}

func (p *parser) step() (s step, ok bool, err error) {
	start := p.at
	if p.eat("[") {
		if s.index, err = p.expression(); err != nil {
			return s, false, err
		}
		p.blanks()
		if !p.eat("]") {
			return s, false, p.fail("] must follow")
		}
		return s, true, nil
	}
	if !p.eat(".") {
		return s, false, nil
	}
	if s.name = p.identifier(); s.name == "" {
		p.at = start
		return s, false, nil
	}
	if p.eat("(") {
		s.call = true
		s.args, err = p.list(")")
	}
	return s, true, err
}

// list reads expressions with commas between them, up to the closing mark.
func (p *parser) list(closing string) ([]expr, error) {
	var items []expr
	for {
		p.blanks()
		if p.eat(closing) {
			return items, nil
		}
		if len(items) > 0 {
			if !p.eat(",") {
				return nil, p.fail(closing + " must follow")
			}
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		items = append(items, x)
	}
}

// levels are the binary operators, the loosest first.
var levels = [][]string{
	{"||", "or"},
	{"&&", "and"},
	{"==", "!=", "eq", "ne"},
	{"<=", ">=", "<", ">", "le", "ge", "lt", "gt"},
	{"+", "-"},
	{"*", "/", "%"},
}

var canonical = map[string]string{"or": "||", "and": "&&", "eq": "==", "ne": "!=", "le": "<=", "ge": ">=", "lt": "<", "gt": ">"}

func (p *parser) expression() (expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	return p.level(0)
}

func (p *parser) level(n int) (expr, error) {
	if n == len(levels) {
		return p.unary()
	}
	l, err := p.level(n + 1)
	for err == nil {
		op := p.operator(levels[n])
		if op == "" {
			return l, nil
		}
		var r expr
		if r, err = p.level(n + 1); err == nil {
			l = binary{op, l, r}
		}
	}
	return nil, err
}

func (p *parser) operator(ops []string) string {
	start := p.at
	p.blanks()
	for _, op := range ops {
		at := p.at
		if !p.eat(op) {
			continue
		}
		if isLetter(op[0]) && (isLetter(p.peek()) || isDigit(p.peek())) {
			p.at = at
			continue
		}
		if c, ok := canonical[op]; ok {
			return c
		}
		return op
	}
	p.at = start
	return ""
}

func (p *parser) unary() (expr, error) {
	p.blanks()
	negated := p.eat("!")
	if !negated && strings.HasPrefix(p.rest(), "not") && len(p.rest()) > 3 && !isLetter(p.rest()[3]) {
		p.at += 3
		negated = true
	}
	if !negated {
		return p.primary()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	x, err := p.unary()
	return notExpr{x}, err
}

func (p *parser) primary() (expr, error) {
	switch c := p.peek(); {
	case c == '$':
		ref, err := p.reference()
		if err == nil && ref == nil {
			err = p.fail("a name must follow $")
		}
		return ref, err
	case c == '(':
		p.at++
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		p.blanks()
		if !p.eat(")") {
			return nil, p.fail(") must follow")
		}
		return x, nil
	case c == '\'' || c == '"':
		return p.str(c)
	case c == '[':
		return p.listOrRange()
	case c == '{':
		return p.mapLiteral()
	case isDigit(c) || c == '-':
		return p.number()
	}
	start := p.at
	switch p.word() {
	case "true":
		return literal{true}, nil
	case "false":
		return literal{false}, nil
	case "null":
		return literal{nil}, nil
	}
	p.at = start
	return nil, p.fail("a value must follow")
}

// str reads a string. There are no backslash escapes in Velocity 1.7; a quote is written twice.
func (p *parser) str(quote byte) (expr, error) {
	p.at++
	start, doubled := p.at, false
	for {
		i := strings.IndexByte(p.rest(), quote)
		if i < 0 {
			return nil, p.fail("string does not end")
		}
		p.at += i + 1
		if p.peek() != quote {
			break
		}
		p.at++
		doubled = true
	}
	s := p.src[start : p.at-1]
	if doubled {
		s = strings.ReplaceAll(s, string([]byte{quote, quote}), string(quote))
	}
	if quote == '\'' || !strings.ContainsAny(s, "$#") {
		return literal{s}, nil
	}
	inner := &parser{src: s, nested: p.nested}
	body, end, err := inner.body(false)
	if err == nil && end != "" {
		err = inner.fail("#" + end + " without a beginning")
	}
	if err != nil {
		p.at = start
		return nil, p.fail("in string: " + err.(*SyntaxError).Message)
	}
	return interpolated{body}, nil
}

func (p *parser) listOrRange() (expr, error) {
	p.at++
	p.blanks()
	if p.eat("]") {
		return listLiteral{}, nil
	}
	first, err := p.expression()
	if err != nil {
		return nil, err
	}
	p.blanks()
	if p.eat("..") {
		to, err := p.expression()
		if err != nil {
			return nil, err
		}
		p.blanks()
		if !p.eat("]") {
			return nil, p.fail("] must follow")
		}
		return rangeExpr{first, to}, nil
	}
	items := []expr{first}
	for {
		p.blanks()
		if p.eat("]") {
			return listLiteral{items}, nil
		}
		if !p.eat(",") {
			return nil, p.fail("] must follow")
		}
		x, err := p.expression()
		if err != nil {
			return nil, err
		}
		items = append(items, x)
	}
}

func (p *parser) mapLiteral() (expr, error) {
	p.at++
	var m mapLiteral
	for {
		p.blanks()
		if p.eat("}") {
			return m, nil
		}
		if len(m.keys) > 0 && !p.eat(",") {
			return nil, p.fail("} must follow")
		}
		k, err := p.expression()
		if err != nil {
			return nil, err
		}
		p.blanks()
		if !p.eat(":") {
			return nil, p.fail(": must follow")
		}
		v, err := p.expression()
		if err != nil {
			return nil, err
		}
		m.keys, m.values = append(m.keys, k), append(m.values, v)
	}
}

func (p *parser) number() (expr, error) {
	start := p.at
	p.eat("-")
	for isDigit(p.peek()) {
		p.at++
	}
	isFloat := false
	if p.peek() == '.' && len(p.rest()) > 1 && isDigit(p.rest()[1]) { // not the .. of a range
		isFloat = true
		for p.at++; isDigit(p.peek()); p.at++ {
		}
	}
	word := p.src[start:p.at]
	if isFloat {
		f, err := strconv.ParseFloat(word, 64)
		if err != nil {
			return nil, p.fail("bad number")
		}
		return literal{f}, nil
	}
	i, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		return nil, p.fail("bad number")
	}
	return literal{i}, nil
}
