package wire_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"strings"
	"testing"

	"lambent/cloud"
	"lambent/wire"
)

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecompress(t *testing.T) {
	for _, tt := range []struct {
		codings []string
		body    string
		want    string
		left    string
	}{
		{nil, "plain", "plain", ""},
		{[]string{"gzip"}, string(gzipped(t, "text")), "text", ""},
		{[]string{"custom, GZIP"}, string(gzipped(t, "text")), "text", "custom"},
		{[]string{"custom", "gzip"}, string(gzipped(t, "text")), "text", "custom"},
		{[]string{"gzip, custom"}, "as it is", "as it is", "gzip, custom"},
		{[]string{"gzip"}, "", "", "gzip"},
	} {
		got, h, err := wire.Decompress(http.Header{"Content-Encoding": tt.codings}, []byte(tt.body), 100)
		if err != nil || string(got) != tt.want || h.Get("Content-Encoding") != tt.left {
			t.Errorf("%q: %q, %q, %v; want %q, %q", tt.codings, got, h, err, tt.want, tt.left)
		}
	}
}

func TestDecompressRefuses(t *testing.T) {
	h := http.Header{"Content-Encoding": {"gzip"}}
	bomb := gzipped(t, strings.Repeat("0", 1<<20))
	if _, _, err := wire.Decompress(h, bomb, 1000); !isTooLarge(err) {
		t.Errorf("a body of 1 MiB behind a limit of 1000 bytes: %v", err)
	}
	for name, body := range map[string][]byte{"no gzip": []byte("text"), "cut off": bomb[:20]} {
		if _, _, err := wire.Decompress(h, body, 1<<21); cloud.FaultCode(err) != "SerializationException" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func isTooLarge(err error) bool {
	e := (*http.MaxBytesError)(nil)
	return errors.As(err, &e)
}
