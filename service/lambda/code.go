package lambda

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"lambent/blob"
	"lambent/cloud"
	"lambent/invoke"
	"lambent/service"
)

// Limits of code packages as they are sent, as on AWS.
const (
	maxCreateRequest = 70_167_211
	maxZip           = 250 << 20
	linkLife         = 10 * time.Minute
)

// source is where the code of a create or an update is.
type source struct {
	zip                  []byte
	bucket, key, version *string
}

// store takes the package in and makes sure that it is sound. It is not referenced yet.
func (s *Service) store(ctx context.Context, c cloud.Caller, g source, operation string) (blob.Ref, error) {
	var in io.Reader
	switch {
	case g.zip != nil && (g.bucket != nil || g.key != nil):
		return blob.Ref{}, invalid("Please do not provide other FunctionCode parameters when providing a ZipFile.")
	case g.zip != nil:
		if base64.StdEncoding.EncodedLen(len(g.zip)) > maxCreateRequest {
			return blob.Ref{}, cloud.Faultf("RequestEntityTooLargeException",
				"Request must be smaller than %d bytes for the %s operation", maxCreateRequest, operation).WithStatus(413)
		}
		in = bytes.NewReader(g.zip)
	case g.bucket != nil && g.key != nil:
		object, err := s.object(ctx, c, g)
		if err != nil {
			return blob.Ref{}, err
		}
		defer object.Close()
		in = object
	default:
		return blob.Ref{}, invalid("Please provide a source for function code.")
	}
	ref, err := s.Blobs.Put(ctx, io.LimitReader(in, maxZip+1))
	if err != nil {
		return blob.Ref{}, err
	}
	if ref.Size > maxZip {
		return blob.Ref{}, invalid("Unzipped size must be smaller than %d bytes", invoke.MaxCode)
	}
	return ref, s.checkCode(ctx, ref)
}

func (s *Service) checkCode(ctx context.Context, ref blob.Ref) error {
	return codeFault(s.Invoker.CheckCode(ctx, &invoke.Function{Code: ref}))
}

// codeFault tells an owner what is wrong with a package.
func codeFault(err error) error {
	var bad *invoke.CodeError
	if errors.As(err, &bad) {
		f := invalid("%s", bad.Message)
		f.Cause = err
		return f
	}
	return err
}

func (s *Service) object(ctx context.Context, c cloud.Caller, g source) (io.ReadCloser, error) {
	if s.Objects == nil {
		return nil, cloud.NotImplemented("Code in S3")
	}
	object, err := s.Objects.GetObject(ctx, c, *g.bucket, *g.key, cloud.Val(g.version))
	var f *cloud.Fault
	if !errors.As(err, &f) {
		return object, err
	}
	if f.Code == "AccessDenied" {
		return nil, cloud.Faultf("AccessDeniedException", "Your access has been denied by S3, please make sure your request credentials have permission to GetObject for %s/%s. S3 Error Code: AccessDenied. S3 Error Message: %s",
			*g.bucket, *g.key, f.Message).WithStatus(403)
	}
	out := invalid("Error occurred while GetObject. S3 Error Code: %s. S3 Error Message: %s", f.Code, f.Message)
	out.Cause = err
	return nil, out
}

func codeSHA256(ref blob.Ref) string { return base64.StdEncoding.EncodeToString(ref.SHA256[:]) }

// links makes the URLs from which code packages can be downloaded for a while. They are signed with a key of this
// process: after a restart a client asks for a new one.
type links struct{ secret []byte }

func newLinks() (links, error) {
	l := links{make([]byte, 32)}
	_, err := rand.Read(l.secret)
	return l, err
}

func (l links) sign(text string) string {
	m := hmac.New(sha256.New, l.secret)
	m.Write([]byte(text))
	return hex.EncodeToString(m.Sum(nil))
}

const codePrefix = "/_lambda-code/"

// location is a URL of the package, valid for ten minutes.
func (s *Service) location(c cloud.Caller, ref blob.Ref) string {
	host, scheme := c.Host, "http"
	if host == "" || strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".api.aws") {
		host = s.Domain // the names of AWS are ours through a proxy only
	} else if c.Secure {
		scheme = "https"
	}
	expires := strconv.FormatInt(c.Now.Add(linkLife).Unix(), 10)
	q := url.Values{"X-Amz-Expires": {expires}, "X-Amz-Signature": {s.links.sign(ref.String() + " " + expires)}}
	return fmt.Sprintf("%s://%s%s%s?%s", scheme, host, codePrefix, url.PathEscape(ref.String()), q.Encode())
}

func codePath(path string) (id, rest string, ok bool) {
	id, ok = strings.CutPrefix(path, codePrefix)
	return id, "/", ok
}

// serveCode answers a location.
func (s *Service) serveCode(w http.ResponseWriter, r *http.Request, at service.Published) {
	q := r.URL.Query()
	expires := q.Get("X-Amz-Expires")
	until, err := strconv.ParseInt(expires, 10, 64)
	ref, rerr := blob.ParseRef(at.ID)
	if err != nil || rerr != nil || !hmac.Equal([]byte(q.Get("X-Amz-Signature")), []byte(s.links.sign(ref.String()+" "+expires))) {
		http.Error(w, "SignatureDoesNotMatch", http.StatusForbidden)
		return
	}
	if at.Caller.Now.Unix() > until {
		http.Error(w, "Request has expired", http.StatusForbidden)
		return
	}
	b, err := s.Blobs.Open(r.Context(), ref)
	if err != nil {
		http.Error(w, "NoSuchKey", http.StatusNotFound)
		return
	}
	defer b.Close()
	w.Header().Set("Content-Type", "application/zip")
	http.ServeContent(w, r, "", time.Time{}, b)
}
