package sigv4_test

import (
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"lambent/wire/sigv4"
)

// TestSignedElsewhere checks requests that smithy-go's SigV4a signer (module
// github.com/aws/smithy-go/aws-http-auth v1.1.3) signed. Each has a secret, the body's hash, the request
// line and the headers; the path was encoded twice but for s3.
func TestSignedElsewhere(t *testing.T) {
	text, err := os.ReadFile("testdata/sigv4a.txt")
	if err != nil {
		t.Fatal(err)
	}
	for vector := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		lines := strings.Split(vector, "\n")
		secret := strings.TrimPrefix(lines[0], "secret ")
		hash := strings.TrimPrefix(lines[1], "hash ")
		method, target, _ := strings.Cut(lines[2], " ")
		r := httptest.NewRequest(method, target, nil)
		for _, line := range lines[3:] {
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Set(name, value)
		}
		r.Host = r.Header.Get("Host")
		c, err := sigv4.Parse(r)
		if err != nil {
			t.Errorf("%v\n%s", err, vector)
			continue
		}
		if !c.Allows("us-east-1") || !c.Allows("eu-west-1") || c.Allows("ap-east-1") {
			t.Errorf("regions %q\n%s", c.RegionSet, vector)
		}
		var v sigv4.Verifier
		if _, err := v.Verify(r, c, secret, hash, testTime); err != nil {
			t.Errorf("%s\n%s", explain(err), vector)
		}
		if _, err := v.Verify(r, c, secret+"x", hash, testTime); reason(err) != sigv4.Mismatch {
			t.Errorf("wrong secret: %v, want Mismatch\n%s", err, vector)
		}
	}
}
