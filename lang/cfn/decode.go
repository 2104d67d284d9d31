package cfn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// A Body is a decoded template: its sections by name.
type Body map[string]any

// Decode reads a template in JSON (when it begins with a brace) or YAML. Of equal keys in an object the last
// counts, as on AWS.
func Decode(text []byte) (Body, error) {
	if len(text) > MaxBytes {
		return nil, invalid("Template may not exceed %d bytes in size.", MaxBytes)
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(text) {
		return nil, invalid("Template format error: template is not valid UTF-8")
	}
	decode := decodeYAML
	if bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) {
		decode = decodeJSON
	}
	v, err := decode(text)
	if err != nil {
		return nil, err
	}
	body, ok := v.(map[string]any)
	if !ok {
		return nil, invalid("Template format error: unsupported structure.")
	}
	return body, nil
}

// jsonReader decodes JSON by tokens, so that its bounds hold while it reads.
type jsonReader struct {
	text  []byte
	dec   *json.Decoder
	nodes int
}

func decodeJSON(text []byte) (any, error) {
	r := &jsonReader{text: text, dec: json.NewDecoder(bytes.NewReader(text))}
	r.dec.UseNumber()
	v, err := r.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, r.malformed()
	}
	return v, nil
}

func (r *jsonReader) malformed() error {
	line, column := position(r.text, int(r.dec.InputOffset()))
	return invalid("Template format error: JSON not well-formed. (line %d, column %d)", line, column)
}

func (r *jsonReader) value(depth int) (any, error) {
	tok, err := r.dec.Token()
	if err != nil {
		return nil, r.malformed()
	}
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		return nil, tooDeep()
	}
	switch tok {
	case json.Delim('{'):
		return r.object(depth)
	case json.Delim('['):
		return r.list(depth)
	}
	return tok, nil
}

func (r *jsonReader) object(depth int) (any, error) {
	m := map[string]any{}
	for r.dec.More() {
		tok, err := r.dec.Token()
		key, ok := tok.(string)
		if err != nil || !ok {
			return nil, r.malformed()
		}
		if m[key], err = r.value(depth + 1); err != nil {
			return nil, err
		}
	}
	if _, err := r.dec.Token(); err != nil {
		return nil, r.malformed()
	}
	return m, nil
}

func (r *jsonReader) list(depth int) (any, error) {
	l := []any{}
	for r.dec.More() {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		l = append(l, v)
	}
	if _, err := r.dec.Token(); err != nil {
		return nil, r.malformed()
	}
	return l, nil
}

func position(text []byte, offset int) (line, column int) {
	before := text[:min(offset, len(text))]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}

func tooDeep() error {
	return invalid("Template format error: template is nested too deeply or holds too many values")
}

// yamlReader turns YAML nodes into values by the rules of YAML 1.1 that CloudFormation keeps.
type yamlReader struct{ nodes int }

func decodeYAML(text []byte) (any, error) {
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, invalid("Template format error: unsupported structure.")
		}
		return nil, malformedYAML(err)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, invalid("Template format error: YAML not well-formed. A template is one document.")
	}
	if len(doc.Content) != 1 {
		return nil, invalid("Template format error: unsupported structure.")
	}
	return new(yamlReader).value(doc.Content[0], 0)
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

func malformedYAML(err error) error {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		return invalid("Template format error: YAML not well-formed. (line %s)", m[1])
	}
	return invalid("Template format error: YAML not well-formed.")
}

func (r *yamlReader) value(n *yaml.Node, depth int) (any, error) {
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		return nil, tooDeep()
	}
	if n.Kind == yaml.AliasNode {
		return nil, invalid("Template error: YAML aliases are not allowed in CloudFormation templates")
	}
	if tag := n.Tag; strings.HasPrefix(tag, "!") && !strings.HasPrefix(tag, "!!") {
		return r.tagged(n, depth)
	}
	return r.plain(n, depth)
}

func (r *yamlReader) plain(n *yaml.Node, depth int) (any, error) {
	switch n.Kind {
	case yaml.MappingNode:
		return r.mapping(n, depth)
	case yaml.SequenceNode:
		return r.sequence(n, depth)
	case yaml.ScalarNode:
		return scalar(n)
	}
	return nil, malformedNode(n)
}

// malformedNode is how AWS refuses what is YAML, but not of the kind that it takes: a tag that it does not
// know as well.
func malformedNode(n *yaml.Node) error {
	return invalid("Template format error: YAML not well-formed. (line %d, column %d)", n.Line, n.Column)
}

func (r *yamlReader) mapping(n *yaml.Node, depth int) (any, error) {
	m := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode {
			return nil, malformedNode(k)
		}
		if k.ShortTag() == "!!merge" {
			return nil, invalid("Template error: YAML hash merges are not allowed in CloudFormation templates")
		}
		v, err := r.value(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		m[k.Value] = v
	}
	return m, nil
}

func (r *yamlReader) sequence(n *yaml.Node, depth int) (any, error) {
	l := make([]any, len(n.Content))
	for i, c := range n.Content {
		v, err := r.value(c, depth+1)
		if err != nil {
			return nil, err
		}
		l[i] = v
	}
	return l, nil
}

// jsonNumber is how a number must be written to stay one; every other spelling (leading zeros, hexadecimal,
// infinity) stays the string that the author typed.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

func scalar(n *yaml.Node) (any, error) {
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return n.Value, nil
	}
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool", "!!str":
		if n.Style&yaml.TaggedStyle != 0 {
			return n.Value, nil
		}
		if b, ok := yaml11Bool(n.Value); ok {
			return b, nil
		}
	case "!!int", "!!float":
		if jsonNumber.MatchString(n.Value) {
			return json.Number(n.Value), nil
		}
	case "!!timestamp":
	default:
		return nil, malformedNode(n)
	}
	return n.Value, nil
}

// yaml11Bool knows the words that YAML 1.1 reads as truth values; YAML 1.2, and the parser, keep only two.
func yaml11Bool(s string) (b, ok bool) {
	switch s {
	case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON":
		return true, true
	case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF":
		return false, true
	}
	return false, false
}

// tagged writes a short tag out: !Ref x is {"Ref": x}, !GetAtt a.b is {"Fn::GetAtt": ["a", "b"]}.
func (r *yamlReader) tagged(n *yaml.Node, depth int) (any, error) {
	name := strings.TrimPrefix(n.Tag, "!")
	if name != "Ref" && name != "Condition" {
		name = "Fn::" + name
	}
	if !functions[name] && name != "Condition" {
		return nil, malformedNode(n)
	}
	var v any = n.Value // a scalar behind a tag is text, whatever it looks like
	if n.Kind != yaml.ScalarNode {
		var err error
		if v, err = r.plain(n, depth+1); err != nil {
			return nil, err
		}
	}
	if s, ok := v.(string); ok && name == "Fn::GetAtt" {
		resource, attribute, found := strings.Cut(s, ".")
		if !found {
			return nil, invalid("%s", getAttShape)
		}
		v = []any{resource, attribute}
	}
	return map[string]any{name: v}, nil
}

// Encode writes a value as compact JSON with sorted keys, as CloudFormation shows processed templates.
func Encode(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("encode value: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
