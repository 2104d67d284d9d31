package gateway_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"lambent/service/servicetest"
)

// form makes an upload form for bucket, signed for the policy's conditions.
func form(c *servicetest.Client, conditions string, fields map[string]string, file string) *http.Request {
	day := time.Now().UTC().Format("20060102")
	fields["x-amz-algorithm"] = "AWS4-HMAC-SHA256"
	fields["x-amz-date"] = time.Now().UTC().Format("20060102T150405Z")
	fields["x-amz-credential"] = c.Credentials.AccessKeyID + "/" + day + "/us-east-1/s3/aws4_request"
	fields["policy"] = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"expiration":"2100-01-01T00:00:00Z","conditions":[{"bucket":"bucket"},["starts-with","$key","up/"],["starts-with","$x-amz-algorithm",""],["starts-with","$x-amz-date",""],["starts-with","$x-amz-credential",""]%s]}`, conditions))
	key := []byte("AWS4" + c.Credentials.SecretAccessKey)
	for _, part := range []string{day, "us-east-1", "s3", "aws4_request", fields["policy"]} {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	fields["x-amz-signature"] = hex.EncodeToString(key)

	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, value := range fields {
		_ = w.WriteField(name, value)
	}
	part, _ := w.CreateFormFile("file", `C:\pictures\cat.png`)
	_, _ = part.Write([]byte(file))
	_ = w.Close()
	r, _ := http.NewRequest("POST", "http://localhost/bucket", &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return r
}

func TestUpload(t *testing.T) {
	c := servicetest.New(t, testServices()...)
	key := func() map[string]string { return map[string]string{"key": "up/${filename}"} }

	r := c.Prepared(form(c, "", key(), "content"))
	if r.Status != 204 || r.Header.Get("Location") != "http://localhost/bucket/up/cat.png" || len(r.Body) != 0 {
		t.Errorf("%d %v %s", r.Status, r.Header, r.Body)
	}

	fields := key()
	fields["success_action_status"] = "201"
	r = c.Prepared(form(c, `,{"success_action_status":"201"}`, fields, "content"))
	if r.Status != 201 || !strings.Contains(string(r.Body), "<Bucket>bucket</Bucket><Key>up/cat.png</Key>") {
		t.Errorf("%d %s", r.Status, r.Body)
	}

	fields = key()
	fields["success_action_redirect"] = "http://example.com/done?x=1"
	r = c.Prepared(form(c, `,["starts-with","$success_action_redirect",""]`, fields, "content"))
	if r.Status != 303 || r.Header.Get("Location") != "http://example.com/done?bucket=bucket&etag=&key=up%2Fcat.png&x=1" {
		t.Errorf("%d %v", r.Status, r.Header)
	}

	bad := map[string]*http.Request{
		"403 AccessDenied":                      form(c, "", map[string]string{"key": "elsewhere"}, "content"),
		"400 EntityTooLarge":                    form(c, `,["content-length-range",1,3]`, key(), "content"),
		"400 EntityTooSmall":                    form(c, `,["content-length-range",9,99]`, key(), "content"),
		"400 InvalidArgument":                   form(c, "", map[string]string{}, "content"),
		"400 MalformedPOSTRequest":              form(c, "", key(), "content"),
		"400 MaxPostPreDataLengthExceededError": form(c, "", map[string]string{"key": "up/x", "x-ignore-a": strings.Repeat("x", 21<<10)}, "content"),
	}
	bad["400 MalformedPOSTRequest"].Header.Set("Content-Type", "multipart/form-data; boundary=other-than-used")
	wrong := *c
	wrong.Credentials.SecretAccessKey += "x"
	bad["403 SignatureDoesNotMatch"] = form(&wrong, "", key(), "content")
	wrong.Credentials.AccessKeyID += "x"
	bad["403 InvalidAccessKeyId"] = form(&wrong, "", key(), "content")
	for want, request := range bad {
		r := c.Prepared(request)
		if got := fmt.Sprint(r.Status, " ", code(r)); got != want {
			t.Errorf("got %s, want %s\n%s", got, want, r.Body)
		}
	}
}
