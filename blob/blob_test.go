package blob_test

import (
	"encoding/json"
	"strings"
	"testing"

	"lambent/blob"
)

func TestRef(t *testing.T) {
	hash := strings.Repeat("0a", 32)
	ref, err := blob.ParseRef(hash + ":12")
	if err != nil || ref.Size != 12 || ref.SHA256[31] != 10 || ref.String() != hash+":12" {
		t.Errorf("got %v, %v", ref, err)
	}
	for _, s := range []string{
		"", ":", hash, hash + ":", hash + ":-1", hash + ":+1", hash + ":01", hash + ":1 ", hash[1:] + ":1", hash + "0:1",
		strings.ToUpper(hash) + ":1", strings.Repeat("0g", 32) + ":1", hash + ":9223372036854775808", hash + ":1:1",
	} {
		if ref, err := blob.ParseRef(s); err == nil {
			t.Errorf("ParseRef(%q) = %v, want an error", s, ref)
		}
	}
}

func TestRefJSON(t *testing.T) {
	type row struct{ Code, None blob.Ref }
	want := row{Code: blob.Ref{SHA256: [32]byte{1}, Size: 5}}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if got := `{"Code":"01` + strings.Repeat("0", 62) + `:5","None":""}`; string(b) != got {
		t.Errorf("got %s, want %s", b, got)
	}
	var got row
	if err := json.Unmarshal(b, &got); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if err := json.Unmarshal([]byte(`{"Code":"x"}`), &got); err == nil {
		t.Error("a malformed reference gave no error")
	}
}

// FuzzParseRef: what is accepted is written the same way again.
func FuzzParseRef(f *testing.F) {
	f.Add(strings.Repeat("0a", 32) + ":12")
	f.Fuzz(func(t *testing.T, s string) {
		if ref, err := blob.ParseRef(s); err == nil && ref.String() != s {
			t.Errorf("ParseRef(%q).String() = %q", s, ref)
		}
	})
}
