package gateway

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"path"
	"strings"

	"lambent/cloud"
	"lambent/wire"
	"lambent/wire/sigv4"
)

// A browser can upload to S3 with an HTML form: POST to the bucket, multipart/form-data, the file last.
// The API model knows no such operation. The gateway checks the form's own signature and policy, and
// hands the file to PutObject with the form's fields for headers.
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html

const (
	maxFormFields = 20 << 10 // bytes of all fields before the file, as on AWS
	uploadBuffer  = 64 << 10
)

// isUpload tells whether a request is a form for a bucket.
func (x *exchange) isUpload(t *target) bool {
	if t.family != familyS3 || x.claim != nil || x.r.Method != http.MethodPost {
		return false
	}
	kind, _, _ := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	name := strings.Trim(x.r.URL.Path, "/") // the bucket, unless the host names it
	return kind == "multipart/form-data" && (name == "") == (x.place.bucket != "") && !strings.Contains(name, "/")
}

// An upload is a form that was read up to its file.
type upload struct {
	form     sigv4.Form
	bucket   string
	filename string
	file     io.Reader
}

// performUpload answers a form as perform answers a request.
func (x *exchange) performUpload(t *target) (*wire.Response, error) {
	t.op = x.g.s3.operations["PutObject"]
	if t.op == nil || t.op.impl == nil {
		return nil, notImplemented("lambent does not implement uploads by form yet.")
	}
	x.operation = "PutObject"
	u, err := x.readUpload()
	if err != nil {
		return nil, err
	}
	least, most, err := x.authenticateUpload(t, u)
	if err != nil {
		return nil, err
	}
	header, err := u.header()
	if err != nil {
		return nil, err
	}
	key := u.key()
	codec, _ := t.codec()
	in := newInput(t.op)
	t.labels = map[string]string{"Bucket": url.PathEscape(u.bucket), "Key": url.PathEscape(key)}
	err = codec.Decode(t.api(), t.op.model, &wire.Request{
		Method: http.MethodPut, Header: header, Query: url.Values{}, Labels: t.labels, Length: -1,
		Body: &rangedFile{r: u.file, least: least, most: most},
	}, in)
	if err != nil {
		return nil, err
	}
	out, err := x.g.run(x.r.Context(), t.op, t.protocol, x.caller, in)
	if err != nil {
		return nil, err
	}
	reply, err := codec.Encode(t.api(), t.op.model, x.shownID(t), out)
	if err != nil {
		return nil, fmt.Errorf("encode the reply: %w", err)
	}
	return u.answer(x, reply, key), nil
}

// readUpload reads the fields of the form.
func (x *exchange) readUpload() (*upload, error) {
	_, parameters, _ := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if parameters["boundary"] == "" {
		return nil, malformedForm(nil)
	}
	u := &upload{form: sigv4.Form{}, bucket: x.place.bucket}
	if u.bucket == "" {
		u.bucket = strings.Trim(x.r.URL.Path, "/")
	}
	parts := multipart.NewReader(x.r.Body, parameters["boundary"])
	left := maxFormFields
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return nil, fieldFault("file", "POST requires exactly one file upload per request.")
		}
		if err != nil {
			return nil, malformedForm(err)
		}
		name := strings.ToLower(part.FormName())
		if name == "file" {
			u.filename, u.file = part.FileName(), part
			break
		}
		value, err := io.ReadAll(io.LimitReader(part, int64(left)+1))
		if err != nil {
			return nil, malformedForm(err)
		}
		if left -= len(name) + len(value); left < 0 {
			return nil, &cloud.Fault{Code: "MaxPostPreDataLengthExceededError", Message: "Your POST request fields preceding the upload file was too large.", Status: 400}
		}
		u.form[name] = string(value)
	}
	if u.form["key"] == "" {
		return nil, fieldFault("key", "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.")
	}
	return u, nil
}

func malformedForm(cause error) error {
	return &cloud.Fault{Code: "MalformedPOSTRequest", Message: "The body of your POST request is not well-formed multipart/form-data.", Status: 400, Cause: cause}
}

type argumentDetail struct{ ArgumentName, ArgumentValue *string }

func fieldFault(name, message string) error {
	return &cloud.Fault{Code: "InvalidArgument", Message: message, Status: 400, Detail: &argumentDetail{&name, new("")}}
}

// authenticateUpload checks signature and policy of the form and returns between which lengths the file must be.
func (x *exchange) authenticateUpload(t *target, u *upload) (least, most int64, err error) {
	claim, err := sigv4.ParseForm(u.form)
	if isMissing(err) {
		return 0, 1<<63 - 1, nil // the bucket may be open to everyone: the Authorizer knows
	}
	if err != nil {
		return 0, 0, err
	}
	x.claim = claim
	x.key, x.keyErr = x.g.keys.Secret(x.r.Context(), claim.AccessKeyID, claim.SessionToken)
	if err := x.admitKey(t.family); err != nil {
		return 0, 0, err
	}
	if err := x.g.verifier.VerifyForm(u.form, claim, x.key.Secret); err != nil {
		return 0, 0, err
	}
	policy, err := sigv4.ParsePolicy(u.form["policy"])
	if err != nil {
		return 0, 0, err
	}
	x.caller = x.known()
	return policy.Check(u.form, u.bucket, x.now)
}

// key is the object's name: ${filename} stands for the name that the file has at the user's.
func (u *upload) key() string {
	if u.filename == "" {
		return u.form["key"]
	}
	return strings.ReplaceAll(u.form["key"], "${filename}", path.Base(strings.ReplaceAll(u.filename, `\`, "/")))
}

// header makes of the form's fields what PutObject takes as headers.
func (u *upload) header() (http.Header, error) {
	h := http.Header{}
	for name, value := range u.form {
		switch {
		case name == "acl":
			h.Set("X-Amz-Acl", value)
		case name == "tagging":
			tags, err := tagsHeader(value)
			if err != nil {
				return nil, err
			}
			h.Set("X-Amz-Tagging", tags)
		case name == "cache-control", name == "content-type", name == "content-disposition", name == "content-encoding", name == "expires":
			h.Set(name, value)
		case name == "x-amz-algorithm", name == "x-amz-credential", name == "x-amz-date", name == "x-amz-signature", name == "x-amz-security-token":
		case strings.HasPrefix(name, "x-amz-"):
			h[textproto.CanonicalMIMEHeaderKey(name)] = []string{value}
		}
	}
	return h, nil
}

// tagsHeader makes of a Tagging document the query string that X-Amz-Tagging holds.
func tagsHeader(document string) (string, error) {
	var tagging struct {
		XMLName xml.Name                      `xml:"Tagging"`
		Tags    []struct{ Key, Value string } `xml:"TagSet>Tag"`
	}
	if err := xml.Unmarshal([]byte(document), &tagging); err != nil {
		return "", &cloud.Fault{Code: "MalformedXML", Message: "The XML you provided was not well-formed or did not validate against our published schema", Status: 400, Cause: err}
	}
	var pairs []string
	for _, tag := range tagging.Tags {
		pairs = append(pairs, url.QueryEscape(tag.Key)+"="+url.QueryEscape(tag.Value))
	}
	return strings.Join(pairs, "&"), nil
}

// answer is what the form asked for: nothing, a document, or a redirection.
func (u *upload) answer(x *exchange, put *wire.Response, key string) *wire.Response {
	etag := put.Header.Get("Etag")
	scheme := "http"
	if x.r.TLS != nil {
		scheme = "https"
	}
	location := &url.URL{Scheme: scheme, Host: x.r.Host, Path: "/" + u.bucket + "/" + key}
	if x.place.bucket != "" {
		location.Path = "/" + key
	}
	reply := &wire.Response{Status: http.StatusNoContent, Header: put.Header}
	reply.Header.Set("Location", location.String())
	target := u.form["success_action_redirect"]
	if target == "" {
		target = u.form["redirect"]
	}
	if to, err := url.Parse(target); target != "" && err == nil && to.IsAbs() {
		q := to.Query()
		q.Set("bucket", u.bucket)
		q.Set("key", key)
		q.Set("etag", etag)
		to.RawQuery = q.Encode()
		reply.Status = http.StatusSeeOther
		reply.Header.Set("Location", to.String())
		return reply
	}
	switch u.form["success_action_status"] {
	case "200":
		reply.Status = http.StatusOK
	case "201":
		document := struct {
			XMLName                     xml.Name `xml:"PostResponse"`
			Location, Bucket, Key, ETag string
		}{Location: location.String(), Bucket: u.bucket, Key: key, ETag: etag}
		body, err := xml.Marshal(document)
		if err == nil {
			reply.Status, reply.Body = http.StatusCreated, append([]byte(xml.Header), body...)
			reply.Header.Set("Content-Type", "application/xml")
		}
	}
	return reply
}

// A rangedFile is a file that a policy wants to be neither shorter nor longer.
type rangedFile struct {
	r           io.Reader
	least, most int64
	n           int64
}

func (f *rangedFile) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	f.n += int64(n)
	if f.n > f.most {
		// AWS tells how long the file would have been. Reading on to find out ends somewhere.
		rest, _ := io.CopyN(io.Discard, f.r, uploadBuffer)
		return 0, &sigv4.Error{Reason: sigv4.PolicyTooLarge, Message: "Your proposed upload exceeds the maximum allowed size",
			Given: fmt.Sprint(f.n + rest), Computed: fmt.Sprint(f.most)}
	}
	if errors.Is(err, io.EOF) && f.n < f.least {
		return 0, &sigv4.Error{Reason: sigv4.PolicyTooSmall, Message: "Your proposed upload is smaller than the minimum allowed size",
			Given: fmt.Sprint(f.n), Computed: fmt.Sprint(f.least)}
	}
	return n, err
}
