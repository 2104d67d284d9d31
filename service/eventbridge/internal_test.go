package eventbridge

import (
	"encoding/json"
	"testing"

	"lambent/lang/jsonpath"
)

// A template that was accepted always becomes JSON, whatever the variables hold.
func FuzzTransform(f *testing.F) {
	f.Add(`{"a": "<v>", "b": <v>}`, `{"x": "\"\\"}`)
	f.Add(`"<v> \" <v>"`, `[1, "\n"]`)
	f.Fuzz(func(t *testing.T, template, value string) {
		in := &InputTransformer{InputPathsMap: map[string]string{"v": "$.detail"}, InputTemplate: &template}
		if checkTransformer("t", in) != nil {
			return
		}
		v, err := jsonpath.Parse([]byte(value))
		if err != nil {
			return
		}
		doc := jsonpath.NewObject()
		doc.Set("detail", v)
		out, err := transform(in, event{}, doc)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(out) {
			t.Errorf("%s with %s became %s", template, value, out)
		}
	})
}
