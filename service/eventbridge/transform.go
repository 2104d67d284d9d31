package eventbridge

import (
	"encoding/json"
	"fmt"
	"strings"

	"lambent/lang/jsonpath"
)

// An input template is JSON text with <variables>. Within a JSON string a variable stands for its text, elsewhere for a
// JSON value. One whose path finds nothing is empty text, or null.

// variable is what a <variable> stands for.
type variable struct {
	value any
	found bool
}

// transform applies an input transformer to the event.
func transform(t *InputTransformer, e event, doc *jsonpath.Object) ([]byte, error) {
	vars := map[string]variable{}
	for name, path := range t.InputPathsMap {
		v, found, err := evaluate(path, doc)
		if err != nil {
			return nil, err
		}
		vars[name] = variable{v, found}
	}
	for name, v := range e.predefined(doc) {
		vars[name] = variable{v, true}
	}
	return render(*t.InputTemplate, vars), nil
}

// predefined are the variables that every template has.
func (e event) predefined(doc *jsonpath.Object) map[string]any {
	without := jsonpath.NewObject() // the event without its detail, with one name changed, as AWS has it
	for _, k := range doc.Keys() {
		v, _ := doc.Get(k)
		switch k {
		case "detail":
		case "detail-type":
			without.Set("detailType", v)
		default:
			without.Set(k, v)
		}
	}
	return map[string]any{
		"aws.events.rule-arn":             e.ruleARN,
		"aws.events.rule-name":            e.rule,
		"aws.events.event":                without,
		"aws.events.event.json":           doc,
		"aws.events.event.ingestion-time": e.time(),
	}
}

// render puts the variables into a template. What stands in <> and is no variable stays as it is.
func render(template string, vars map[string]variable) []byte {
	var out []byte
	quoted := false
	for i := 0; i < len(template); i++ {
		switch ch := template[i]; {
		case ch == '\\' && quoted && i+1 < len(template):
			out = append(out, ch, template[i+1])
			i++
		case ch == '"':
			quoted = !quoted
			out = append(out, ch)
		case ch == '<':
			name, _, closed := strings.Cut(template[i+1:], ">")
			v, known := vars[name]
			if !closed || !known {
				out = append(out, ch)
				continue
			}
			out = v.append(out, quoted)
			i += len(name) + 1
		default:
			out = append(out, ch)
		}
	}
	return out
}

// append writes the variable where it stands. Values other than strings lose their quotes within a string, as on AWS.
func (v variable) append(out []byte, quoted bool) []byte {
	switch {
	case !quoted && !v.found:
		return append(out, "null"...)
	case !quoted:
		return jsonpath.Append(out, v.value)
	case !v.found:
		return out
	}
	text, isString := v.value.(string)
	if !isString {
		text = strings.ReplaceAll(string(jsonpath.Append(nil, v.value)), `"`, "")
	}
	literal := jsonpath.AppendString(nil, text)
	return append(out, literal[1:len(literal)-1]...)
}

// checkTransformer refuses paths that are none and templates that could not become JSON.
func checkTransformer(target string, t *InputTransformer) error {
	vars := map[string]variable{}
	for name, path := range t.InputPathsMap {
		if strings.HasPrefix(strings.ToLower(name), "aws") {
			return invalid("InputPathsMap keys that start with AWS are reserved.")
		}
		if err := checkPath(target, path); err != nil {
			return err
		}
		vars[name] = variable{}
	}
	for name := range (event{}).predefined(jsonpath.NewObject()) {
		vars[name] = variable{}
	}
	if text := render(*t.InputTemplate, vars); !json.Valid(text) {
		var v any
		return invalid("Invalid InputTemplate for target %s : [%s]", target, fmt.Sprint(json.Unmarshal(text, &v)))
	}
	return nil
}
