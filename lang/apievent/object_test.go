package apievent

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzObject holds our reading of objects against encoding/json's.
func FuzzObject(f *testing.F) {
	for _, s := range []string{`{}`, ` { "a" : 1 , "b":[{"c":"}"}],"a":null } `, `{"\u0061":"\"","x\\":"\\\"}"}`, `{"n":-1.5e3,"t":true,"f":{}}`, `null`, `[]`, "{\"\xff\":\"\xfe\"}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want map[string]json.RawMessage
		wantErr := json.Unmarshal(text, &want)
		got, err := parseObject(text)
		if (err == nil) != (wantErr == nil && want != nil) {
			t.Fatalf("error %v, encoding/json says %v", err, wantErr)
		}
		if err != nil {
			return
		}
		have := map[string]json.RawMessage{}
		for _, e := range got {
			if _, twice := have[e.name]; twice {
				t.Fatalf("%q is there twice", e.name)
			}
			have[e.name] = e.value
			if wanted, ok := scalar(e.value); ok && e.value[0] == '"' {
				var s string
				if json.Unmarshal(e.value, &s) != nil || s != wanted {
					t.Fatalf("text of %s is %q", e.value, wanted)
				}
			}
		}
		if len(have) != len(want) || len(want) > 0 && !reflect.DeepEqual(have, want) {
			t.Fatalf("got %q, want %q", have, want)
		}
	})
}
