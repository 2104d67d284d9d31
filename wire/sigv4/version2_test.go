package sigv4_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"lambent/wire/sigv4"
)

// TestPublishedV2 checks the requests that Amazon S3's documentation signs ("Signing and authenticating
// REST requests (AWS signature version 2)"). The key pair is the documentation's.
func TestPublishedV2(t *testing.T) {
	const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	tests := []struct {
		name, method, target, bucket string
		header                       http.Header
		at                           time.Time
	}{
		{"get", "GET", "/photos/puppy.jpg", "awsexamplebucket1", http.Header{
			"Date": {"Tue, 27 Mar 2007 19:36:42 +0000"}, "Authorization": {"AWS AKIAIOSFODNN7EXAMPLE:qgk2+6Sv9/oM7G3qLEjTH1a1l1g="}}, time.Date(2007, 3, 27, 19, 36, 42, 0, time.UTC)},
		{"put", "PUT", "/photos/puppy.jpg", "awsexamplebucket1", http.Header{"Content-Type": {"image/jpeg"},
			"Date": {"Tue, 27 Mar 2007 21:15:45 +0000"}, "Authorization": {"AWS AKIAIOSFODNN7EXAMPLE:iqRzw+ileNPu1fhspnRs8nOjjIA="}}, time.Date(2007, 3, 27, 21, 15, 45, 0, time.UTC)},
		{"list", "GET", "/?prefix=photos&max-keys=50&marker=puppy", "awsexamplebucket1", http.Header{
			"Date": {"Tue, 27 Mar 2007 19:42:41 +0000"}, "Authorization": {"AWS AKIAIOSFODNN7EXAMPLE:m0WP8eCtspQl5Ahe6L1SozdX9YA="}}, time.Date(2007, 3, 27, 19, 42, 41, 0, time.UTC)},
		{"fetch", "GET", "/?acl", "awsexamplebucket1", http.Header{
			"Date": {"Tue, 27 Mar 2007 19:44:46 +0000"}, "Authorization": {"AWS AKIAIOSFODNN7EXAMPLE:82ZHiFIjc+WbcwFKGUVEQspPn+0="}}, time.Date(2007, 3, 27, 19, 44, 46, 0, time.UTC)},
		{"unicode keys", "GET", "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re", "", http.Header{
			"Date": {"Wed, 28 Mar 2007 01:49:49 +0000"}, "Authorization": {"AWS AKIAIOSFODNN7EXAMPLE:DNEZGsoieTZ92F3bUfSPQcbGmlM="}}, time.Date(2007, 3, 28, 1, 49, 49, 0, time.UTC)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, tt.target, nil)
			r.Header = tt.header
			if date, err := time.Parse(time.RFC1123Z, r.Header.Get("Date")); err != nil || !date.Equal(tt.at) {
				t.Fatal(date, err)
			}
			c, err := sigv4.Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			c.Bucket = tt.bucket
			var v sigv4.Verifier
			if _, err := v.Verify(r, c, secret, sigv4.UnsignedPayload, tt.at); err != nil {
				t.Errorf("%v\n%s", err, err.(*sigv4.Error).StringToSign)
			}
			if _, err := v.Verify(r, c, secret+"x", sigv4.UnsignedPayload, tt.at); reason(err) != sigv4.Mismatch {
				t.Errorf("wrong secret: %v, want Mismatch", err)
			}
			if _, err := v.Verify(r, c, secret, sigv4.UnsignedPayload, tt.at.Add(time.Hour)); reason(err) != sigv4.Skewed {
				t.Errorf("an hour later: %v, want Skewed", err)
			}
		})
	}
}

// TestPresignedV2 checks URLs that botocore 1.43 presigned.
func TestPresignedV2(t *testing.T) {
	tests := []struct{ target, bucket, secret string }{
		{"/bbb/a?AWSAccessKeyId=a&Signature=BG0DxheyfOz2ZxixRcAiSsq7tU0%3D&Expires=1795430279", "", "b"},
		{"/a?AWSAccessKeyId=a&Signature=BG0DxheyfOz2ZxixRcAiSsq7tU0%3D&Expires=1795430279", "bbb", "b"},
	}
	for _, tt := range tests {
		r := httptest.NewRequest("GET", tt.target, nil)
		c, err := sigv4.Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		c.Bucket = tt.bucket
		var v sigv4.Verifier
		if _, err := v.Verify(r, c, tt.secret, sigv4.UnsignedPayload, time.Unix(1795430279, 0)); err != nil {
			t.Errorf("%v\n%s", err, err.(*sigv4.Error).StringToSign)
		}
		if _, err := v.Verify(r, c, tt.secret, sigv4.UnsignedPayload, time.Unix(1795430280, 0)); reason(err) != sigv4.Expired {
			t.Errorf("a second late: %v, want Expired", err)
		}
	}
}
