// Package jsonschema judges JSON documents by JSON Schema, draft 4, which is what API Gateway's models are written in.
// Documents and schemas are values of package jsonpath. Every keyword of the draft is there but "format", which a
// validator may ignore; "$ref" reaches into the schema itself (#/definitions/x) or whatever the caller resolves.
package jsonschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"lambent/lang/jsonpath"
)

// MaxSteps is how many times one judgement may apply a schema to a value: references can multiply.
const MaxSteps = 100_000

// A Schema is compiled, and safe for concurrent use.
type Schema struct {
	root    *node
	resolve func(ref string) *Schema
}

// node is one schema within a schema.
type node struct {
	ref string // $ref: all else is ignored beside it

	types               []string
	enum                []any
	hasEnum             bool
	allOf, anyOf, oneOf []*node
	not                 *node

	multipleOf                         *big.Rat
	minimum, maximum                   *big.Rat
	exclusiveMinimum, exclusiveMaximum bool

	minLength, maxLength int // -1: none
	pattern              *regexp.Regexp

	items              *node
	itemList           []*node
	additionalItems    *node
	noAdditionalItems  bool
	minItems, maxItems int
	uniqueItems        bool

	required                     []string
	properties                   map[string]*node
	patternProperties            []patternNode
	additionalProperties         *node
	noAdditionalProperties       bool
	minProperties, maxProperties int
	dependencies                 map[string]*node
	needs                        map[string][]string

	children map[string]*node // every schema below the root by JSON pointer; at the root only
}

type patternNode struct {
	pattern *regexp.Regexp
	node    *node
}

const maxDepth = 64

// Compile reads a schema. resolve finds the schema that a reference outside of this one names; it may be nil, and is
// asked when a document is judged.
func Compile(source []byte, resolve func(ref string) *Schema) (*Schema, error) {
	doc, err := jsonpath.Parse(source)
	if err != nil {
		return nil, err
	}
	c := &compiler{nodes: map[string]*node{}}
	root, err := c.node(doc, "", 0)
	if err != nil {
		return nil, fmt.Errorf("jsonschema: %w", err)
	}
	root.children = c.nodes
	return &Schema{root: root, resolve: resolve}, nil
}

// Valid says whether the document keeps the schema. One that cannot be judged within MaxSteps, or that meets a
// reference which leads nowhere, does not.
func (s *Schema) Valid(doc any) bool {
	j := &judge{}
	return j.valid(s, s.root, doc, 0) && !j.exhausted
}

type compiler struct {
	nodes map[string]*node
}

var errSchema = errors.New("schema is not an object")

func (c *compiler) node(v any, at string, depth int) (*node, error) {
	o, ok := v.(*jsonpath.Object)
	if !ok {
		return nil, fmt.Errorf("%w at #%s", errSchema, at)
	}
	if depth > maxDepth {
		return nil, errors.New("schema nests too deeply")
	}
	n := &node{minLength: -1, maxLength: -1, minItems: -1, maxItems: -1, minProperties: -1, maxProperties: -1}
	c.nodes[at] = n
	for _, key := range o.Keys() {
		value, _ := o.Get(key)
		if err := c.keyword(n, key, value, at+"/"+escape(key), depth+1); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func escape(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

func (c *compiler) keyword(n *node, key string, v any, at string, depth int) (err error) {
	bad := fmt.Errorf("%s has a value of the wrong kind at #%s", key, at)
	switch key {
	case "$ref":
		return str(v, &n.ref, bad)
	case "type":
		return oneOrMany(v, &n.types, bad)
	case "enum":
		n.enum, n.hasEnum = v.([]any)
		if !n.hasEnum {
			return bad
		}
	case "allOf":
		return c.list(&n.allOf, v, at, depth, bad)
	case "anyOf":
		return c.list(&n.anyOf, v, at, depth, bad)
	case "oneOf":
		return c.list(&n.oneOf, v, at, depth, bad)
	case "not":
		n.not, err = c.node(v, at, depth)
		return err
	case "multipleOf":
		if err := rational(v, &n.multipleOf, bad); err != nil {
			return err
		}
		if n.multipleOf.Sign() <= 0 {
			return bad
		}
	case "minimum":
		return rational(v, &n.minimum, bad)
	case "maximum":
		return rational(v, &n.maximum, bad)
	case "exclusiveMinimum":
		return boolean(v, &n.exclusiveMinimum, bad)
	case "exclusiveMaximum":
		return boolean(v, &n.exclusiveMaximum, bad)
	case "minLength":
		return count(v, &n.minLength, bad)
	case "maxLength":
		return count(v, &n.maxLength, bad)
	case "minItems":
		return count(v, &n.minItems, bad)
	case "maxItems":
		return count(v, &n.maxItems, bad)
	case "minProperties":
		return count(v, &n.minProperties, bad)
	case "maxProperties":
		return count(v, &n.maxProperties, bad)
	case "uniqueItems":
		return boolean(v, &n.uniqueItems, bad)
	case "pattern":
		var p string
		if err := str(v, &p, bad); err != nil {
			return err
		}
		n.pattern, err = regexp.Compile(p)
		return err
	case "required":
		if _, isList := v.([]any); !isList {
			return bad
		}
		return oneOrMany(v, &n.required, bad)
	default:
		return c.structure(n, key, v, at, depth, bad)
	}
	return nil
}

// structure reads the keywords that hold schemas for parts of a value.
func (c *compiler) structure(n *node, key string, v any, at string, depth int, bad error) (err error) {
	switch key {
	case "items":
		if _, isList := v.([]any); isList {
			return c.list(&n.itemList, v, at, depth, bad)
		}
		n.items, err = c.node(v, at, depth)
	case "additionalItems":
		if b, ok := v.(bool); ok {
			n.noAdditionalItems = !b
			return nil
		}
		n.additionalItems, err = c.node(v, at, depth)
	case "additionalProperties":
		if b, ok := v.(bool); ok {
			n.noAdditionalProperties = !b
			return nil
		}
		n.additionalProperties, err = c.node(v, at, depth)
	case "properties":
		n.properties, err = c.members(v, at, depth, bad)
	case "definitions":
		_, err = c.members(v, at, depth, bad)
	case "patternProperties":
		return c.patterns(n, v, at, depth, bad)
	case "dependencies":
		return c.dependencies(n, v, at, depth, bad)
	}
	return err
}

func (c *compiler) list(to *[]*node, v any, at string, depth int, bad error) error {
	items, ok := v.([]any)
	if !ok {
		return bad
	}
	for i, item := range items {
		n, err := c.node(item, at+"/"+strconv.Itoa(i), depth)
		if err != nil {
			return err
		}
		*to = append(*to, n)
	}
	return nil
}

func (c *compiler) members(v any, at string, depth int, bad error) (map[string]*node, error) {
	o, ok := v.(*jsonpath.Object)
	if !ok {
		return nil, bad
	}
	out := map[string]*node{}
	for _, k := range o.Keys() {
		m, _ := o.Get(k)
		n, err := c.node(m, at+"/"+escape(k), depth)
		if err != nil {
			return nil, err
		}
		out[k] = n
	}
	return out, nil
}

func (c *compiler) patterns(n *node, v any, at string, depth int, bad error) error {
	members, err := c.members(v, at, depth, bad)
	if err != nil {
		return err
	}
	for p, m := range members {
		re, err := regexp.Compile(p)
		if err != nil {
			return err
		}
		n.patternProperties = append(n.patternProperties, patternNode{re, m})
	}
	return nil
}

func (c *compiler) dependencies(n *node, v any, at string, depth int, bad error) error {
	o, ok := v.(*jsonpath.Object)
	if !ok {
		return bad
	}
	n.dependencies, n.needs = map[string]*node{}, map[string][]string{}
	for _, k := range o.Keys() {
		d, _ := o.Get(k)
		if _, isList := d.([]any); isList {
			var names []string
			if err := oneOrMany(d, &names, bad); err != nil {
				return err
			}
			n.needs[k] = names
			continue
		}
		m, err := c.node(d, at+"/"+escape(k), depth)
		if err != nil {
			return err
		}
		n.dependencies[k] = m
	}
	return nil
}

func str(v any, to *string, bad error) error {
	s, ok := v.(string)
	if !ok {
		return bad
	}
	*to = s
	return nil
}

func boolean(v any, to *bool, bad error) error {
	b, ok := v.(bool)
	if !ok {
		return bad
	}
	*to = b
	return nil
}

func oneOrMany(v any, to *[]string, bad error) error {
	if s, ok := v.(string); ok {
		*to = []string{s}
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		return bad
	}
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			return bad
		}
		*to = append(*to, s)
	}
	return nil
}

func count(v any, to *int, bad error) error {
	r, ok := rat(v)
	if !ok || !r.IsInt() || r.Sign() < 0 || !r.Num().IsInt64() || r.Num().Int64() > math.MaxInt32 {
		return bad
	}
	*to = int(r.Num().Int64())
	return nil
}

func rational(v any, to **big.Rat, bad error) error {
	r, ok := rat(v)
	if !ok {
		return bad
	}
	*to = r
	return nil
}

// rat reads a number exactly. Exponents that would make it huge are refused.
func rat(v any) (*big.Rat, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return nil, false
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(n.String()), "e"); ok {
		if e, err := strconv.Atoi(exponent); err != nil || e > 400 || e < -400 {
			return nil, false
		}
	}
	if len(n) > 1000 {
		return nil, false
	}
	return new(big.Rat).SetString(n.String())
}

// A judge counts what one judgement costs.
type judge struct {
	steps     int
	exhausted bool
}

func (j *judge) valid(s *Schema, n *node, v any, depth int) bool {
	if j.steps++; j.steps > MaxSteps || depth > 2*jsonpath.MaxDepth {
		j.exhausted = true
	}
	if j.exhausted {
		return false
	}
	if n.ref != "" {
		return j.reference(s, n.ref, v, depth)
	}
	return n.typed(v) && n.listed(v) && j.combined(s, n, v, depth) && j.content(s, n, v, depth)
}

func (j *judge) reference(s *Schema, ref string, v any, depth int) bool {
	if pointer, ok := strings.CutPrefix(ref, "#"); ok {
		n := s.root.children[strings.TrimSuffix(pointer, "/")]
		return n != nil && j.valid(s, n, v, depth+1)
	}
	if s.resolve == nil {
		return false
	}
	other := s.resolve(ref)
	return other != nil && j.valid(other, other.root, v, depth+1)
}

func (n *node) typed(v any) bool {
	if n.types == nil {
		return true
	}
	return slices.ContainsFunc(n.types, func(t string) bool { return isType(v, t) })
}

func isType(v any, t string) bool {
	switch v := v.(type) {
	case nil:
		return t == "null"
	case bool:
		return t == "boolean"
	case string:
		return t == "string"
	case []any:
		return t == "array"
	case *jsonpath.Object:
		return t == "object"
	case json.Number:
		return t == "number" || (t == "integer" && !strings.ContainsAny(v.String(), ".eE"))
	}
	return false
}

func (n *node) listed(v any) bool {
	return !n.hasEnum || slices.ContainsFunc(n.enum, func(e any) bool { return equal(e, v) })
}

func equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		x, xok := rat(a)
		y, yok := rat(b)
		return xok && yok && x.Cmp(y) == 0
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	case *jsonpath.Object:
		b, ok := b.(*jsonpath.Object)
		if !ok || a.Len() != b.Len() {
			return false
		}
		for _, k := range a.Keys() {
			x, _ := a.Get(k)
			y, ok := b.Get(k)
			if !ok || !equal(x, y) {
				return false
			}
		}
		return true
	}
	switch b.(type) {
	case []any, *jsonpath.Object:
		return false
	}
	return a == b
}

func (j *judge) combined(s *Schema, n *node, v any, depth int) bool {
	matching := func(list []*node) (k int) {
		for _, m := range list {
			if j.valid(s, m, v, depth+1) {
				k++
			}
		}
		return k
	}
	if len(n.allOf) > 0 && matching(n.allOf) < len(n.allOf) {
		return false
	}
	if len(n.anyOf) > 0 && matching(n.anyOf) == 0 {
		return false
	}
	if len(n.oneOf) > 0 && matching(n.oneOf) != 1 {
		return false
	}
	return n.not == nil || !j.valid(s, n.not, v, depth+1)
}

func (j *judge) content(s *Schema, n *node, v any, depth int) bool {
	switch v := v.(type) {
	case json.Number:
		return n.number(v)
	case string:
		length := utf8.RuneCountInString(v)
		return within(length, n.minLength, n.maxLength) && (n.pattern == nil || n.pattern.MatchString(v))
	case []any:
		return j.array(s, n, v, depth)
	case *jsonpath.Object:
		return j.object(s, n, v, depth)
	}
	return true
}

func within(n, low, high int) bool { return (low < 0 || n >= low) && (high < 0 || n <= high) }

func (n *node) number(v json.Number) bool {
	if n.minimum == nil && n.maximum == nil && n.multipleOf == nil {
		return true
	}
	r, ok := rat(v)
	if !ok {
		return false
	}
	if n.minimum != nil {
		if c := r.Cmp(n.minimum); c < 0 || (c == 0 && n.exclusiveMinimum) {
			return false
		}
	}
	if n.maximum != nil {
		if c := r.Cmp(n.maximum); c > 0 || (c == 0 && n.exclusiveMaximum) {
			return false
		}
	}
	return n.multipleOf == nil || new(big.Rat).Quo(r, n.multipleOf).IsInt()
}

func (j *judge) array(s *Schema, n *node, v []any, depth int) bool {
	if !within(len(v), n.minItems, n.maxItems) {
		return false
	}
	for i, e := range v {
		item := n.items
		if n.itemList != nil {
			if i < len(n.itemList) {
				item = n.itemList[i]
			} else if n.noAdditionalItems {
				return false
			} else {
				item = n.additionalItems
			}
		}
		if item != nil && !j.valid(s, item, e, depth+1) {
			return false
		}
	}
	return !n.uniqueItems || j.unique(v)
}

func (j *judge) unique(v []any) bool {
	for i := range v {
		if j.steps += i; j.steps > MaxSteps {
			j.exhausted = true
			return false
		}
		if slices.ContainsFunc(v[:i], func(e any) bool { return equal(e, v[i]) }) {
			return false
		}
	}
	return true
}

func (j *judge) object(s *Schema, n *node, v *jsonpath.Object, depth int) bool {
	if !within(v.Len(), n.minProperties, n.maxProperties) {
		return false
	}
	has := func(name string) bool {
		_, ok := v.Get(name)
		return ok
	}
	for _, name := range n.required {
		if !has(name) {
			return false
		}
	}
	for _, name := range v.Keys() {
		e, _ := v.Get(name)
		if !j.property(s, n, name, e, depth) {
			return false
		}
		if slices.ContainsFunc(n.needs[name], func(need string) bool { return !has(need) }) {
			return false
		}
		if d := n.dependencies[name]; d != nil && !j.valid(s, d, v, depth+1) {
			return false
		}
	}
	return true
}

func (j *judge) property(s *Schema, n *node, name string, v any, depth int) bool {
	known := false
	if p := n.properties[name]; p != nil {
		known = true
		if !j.valid(s, p, v, depth+1) {
			return false
		}
	}
	for _, p := range n.patternProperties {
		if !p.pattern.MatchString(name) {
			continue
		}
		known = true
		if !j.valid(s, p.node, v, depth+1) {
			return false
		}
	}
	if known {
		return true
	}
	if n.additionalProperties != nil {
		return j.valid(s, n.additionalProperties, v, depth+1)
	}
	return !n.noAdditionalProperties
}
