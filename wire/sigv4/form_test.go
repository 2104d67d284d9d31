package sigv4_test

import (
	"encoding/base64"
	"maps"
	"strings"
	"testing"
	"time"

	"lambent/wire/sigv4"
)

// publishedForm is the upload that Amazon S3's documentation signs (API Reference, "Example:
// Browser-Based Upload using HTTP POST"); the policy's line ends are part of what is signed.
func publishedForm() sigv4.Form {
	const policy = `{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],

    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}`
	return sigv4.Form{
		"key": "user/user1/x.png", "acl": "public-read", "content-type": "image/png", "x-amz-meta-uuid": "14365123651274", "x-amz-meta-tag": "",
		"success_action_redirect":      "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html",
		"x-amz-server-side-encryption": "AES256",
		"x-amz-algorithm":              "AWS4-HMAC-SHA256",
		"x-amz-credential":             "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
		"x-amz-date":                   "20151229T000000Z",
		"policy":                       base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(policy, "\n", "\r\n"))),
		"x-amz-signature":              "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
	}
}

func TestPublishedForm(t *testing.T) {
	f := publishedForm()
	c, err := sigv4.ParseForm(f)
	if err != nil {
		t.Fatal(err)
	}
	var v sigv4.Verifier
	if err := v.VerifyForm(f, c, testSecret); err != nil {
		t.Error(err)
	}
	if err := v.VerifyForm(f, c, "other"); reason(err) != sigv4.Mismatch {
		t.Errorf("wrong secret: %v, want Mismatch", err)
	}
}

func TestFormChecks(t *testing.T) {
	at := time.Date(2015, 12, 30, 11, 59, 59, 0, time.UTC)
	tests := []struct {
		name   string
		change func(sigv4.Form)
		bucket string
		at     time.Time
		want   string
	}{
		{"good", nil, "sigv4examplebucket", at, ""},
		{"too late", nil, "sigv4examplebucket", at.Add(time.Second), "Invalid according to Policy: Policy expired."},
		{"other bucket", nil, "other", at, `Invalid according to Policy: Policy Condition failed: ["eq", "bucket", "sigv4examplebucket"]`},
		{"other key", func(f sigv4.Form) { f["key"] = "user/user2/x" }, "sigv4examplebucket", at, `Invalid according to Policy: Policy Condition failed: ["starts-with", "$key", "user/user1/"]`},
		{"extra field", func(f sigv4.Form) { f["x-amz-meta-more"] = "x" }, "sigv4examplebucket", at, "Invalid according to Policy: Extra input fields: x-amz-meta-more"},
		{"ignored field", func(f sigv4.Form) { f["x-ignore-more"] = "x" }, "sigv4examplebucket", at, ""},
		{"missing field", func(f sigv4.Form) { delete(f, "acl") }, "sigv4examplebucket", at, `Invalid according to Policy: Policy Condition failed: ["eq", "acl", "public-read"]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := maps.Clone(publishedForm())
			if tt.change != nil {
				tt.change(f)
			}
			p, err := sigv4.ParsePolicy(f["policy"])
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = p.Check(f, tt.bucket, tt.at)
			got := ""
			if err != nil {
				got = err.(*sigv4.Error).Message
			}
			if got != tt.want {
				t.Errorf("got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestPolicyLength(t *testing.T) {
	policy := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	p, err := sigv4.ParsePolicy(policy(`{"expiration":"2030-01-01T00:00:00Z","conditions":[["content-length-range",5,"10"]]}`))
	if err != nil {
		t.Fatal(err)
	}
	least, most, err := p.Check(sigv4.Form{}, "b", testTime)
	if least != 5 || most != 10 || err != nil {
		t.Errorf("%d to %d, %v", least, most, err)
	}
	for text, want := range map[string]sigv4.Reason{
		`x`:                                     sigv4.PolicyInvalid,
		`{"expiration":"x","conditions":[]}`:    sigv4.PolicyInvalid,
		`{"expiration":"2030-01-01T00:00:00Z"}`: sigv4.PolicyInvalid,
		`{"expiration":"2030-01-01T00:00:00Z","conditions":[["content-length-range","test","10"]]}`:          sigv4.PolicyFailed,
		`{"expiration":"2030-01-01T00:00:00Z","conditions":[["dance","$key","10"]]}`:                         sigv4.PolicyInvalid,
		`{"expiration":"2030-01-01T00:00:00Z","conditions":[["eq","key","10"]]}`:                             sigv4.PolicyInvalid,
		`{"expiration":"2030-01-01T00:00:00Z","conditions":[{"key":1}]}`:                                     sigv4.PolicyInvalid,
		`{"expiration":"2030-01-01T00:00:00Z","conditions":[["content-length-range",-1,10,5,6,7,8,9,0,1]]} `: sigv4.PolicyInvalid,
	} {
		if _, err := sigv4.ParsePolicy(policy(text)); reason(err) != want {
			t.Errorf("%s: %v, want reason %v", text, err, want)
		}
	}
}

func TestFormParts(t *testing.T) {
	for _, field := range []string{"x-amz-algorithm", "x-amz-signature", "x-amz-date", "policy"} {
		f := publishedForm()
		delete(f, field)
		if _, err := sigv4.ParseForm(f); reason(err) != sigv4.FieldAbsent {
			t.Errorf("without %s: %v, want FieldAbsent", field, err)
		}
	}
	if _, err := sigv4.ParseForm(sigv4.Form{"key": "x"}); reason(err) != sigv4.Missing {
		t.Errorf("unsigned: %v, want Missing", err)
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add(`{"expiration":"2030-01-01T00:00:00Z","conditions":[["content-length-range",5,"10"],["starts-with","$key","a"],{"acl":"private"}]}`, "a", "private")
	f.Fuzz(func(t *testing.T, policy, key, acl string) {
		p, err := sigv4.ParsePolicy(base64.StdEncoding.EncodeToString([]byte(policy)))
		if err != nil {
			if reason(err) == 0 {
				t.Fatalf("error without a reason: %v", err)
			}
			return
		}
		_, _, _ = p.Check(sigv4.Form{"key": key, "acl": acl}, "b", testTime)
	})
}
