package s3blob

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"lambent/blob/driver"
	"lambent/wire/sigv4"
)

// Config says where a bucket is and how to reach it.
type Config struct {
	Bucket   string
	Prefix   string // of all keys; may be empty
	Endpoint string // http://host:port or https://…; "" is AWS
	Region   string
	Path     bool // the bucket is named in the path, not in the host

	AccessKeyID     string
	SecretAccessKey string
	SessionToken    string // may be empty

	Spool     string            // folder for uploads on their way; "" is the system's
	Transport http.RoundTripper // nil is one with bounded waits
}

// base is the address of the bucket, without a slash at its end.
func (c Config) base() (*url.URL, error) {
	endpoint := c.Endpoint
	if endpoint == "" {
		endpoint = "https://s3." + c.Region + ".amazonaws.com"
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("endpoint: %q is not http://host:port or https://host:port", endpoint)
	}
	u.Path = ""
	if c.Path {
		u.Path = "/" + c.Bucket
	} else {
		u.Host = c.Bucket + "." + u.Host
	}
	return u, nil
}

// client makes signed requests to one bucket.
type client struct {
	base   *url.URL
	bucket string
	region string
	key    sigv4.Credentials
	http   *http.Client
	skew   atomic.Int64 // nanoseconds by which the server's clock is ahead of this one
}

func newClient(c Config) (*client, error) {
	base, err := c.base()
	if err != nil {
		return nil, err
	}
	if c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return nil, errors.New("s3 needs an access key and its secret")
	}
	t := c.Transport
	if t == nil {
		t = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: time.Minute, // S3 answers a large copy late
			MaxIdleConnsPerHost:   32,
			IdleConnTimeout:       time.Minute,
		}
	}
	return &client{base: base, bucket: c.Bucket, region: c.Region, http: &http.Client{Transport: t},
		key: sigv4.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken}}, nil
}

// Error is what S3 answers when it does not do what it is asked.
type Error struct {
	Status  int
	Code    string `xml:"Code"`
	Message string `xml:"Message"`
}

func (e *Error) Error() string {
	return fmt.Sprintf("s3 answers %d %s: %s", e.Status, e.Code, e.Message)
}

// Is says that an object is not there, or that there is no space left.
func (e *Error) Is(target error) bool {
	switch target {
	case fs.ErrNotExist:
		return e.Status == http.StatusNotFound && e.Code != "NoSuchBucket"
	case driver.ErrFull:
		return e.Status == http.StatusInsufficientStorage
	}
	return false
}

// request is one call of the API.
type request struct {
	method string
	key    string // "" is the bucket
	query  url.Values
	header map[string]string
	body   io.ReaderAt // nil: none
	size   int64
	hash   string // SHA-256 of body
}

// Requests are made again after these waits, when the answer says or lets hope that another would be better.
const (
	tries     = 5
	firstWait = 50 * time.Millisecond
)

// do makes a request until it is answered well, or for good. The caller closes the reply's body.
func (c *client) do(ctx context.Context, r request) (*http.Response, error) {
	wait := firstWait
	for try := 1; ; try++ {
		resp, err := c.once(ctx, r)
		if err == nil || try == tries || ctx.Err() != nil || !c.passes(err) {
			return resp, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait/2 + rand.N(wait/2)):
			wait *= 2
		}
	}
}

// passes says whether an error may be gone the next time.
func (c *client) passes(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return true // of the network
	}
	switch e.Code {
	case "RequestTimeTooSkewed", "SlowDown", "RequestTimeout", "OperationAborted":
		return true
	}
	return e.Status >= 500 && e.Status != http.StatusNotImplemented && e.Status != http.StatusInsufficientStorage
}

func (c *client) once(ctx context.Context, r request) (*http.Response, error) {
	u := *c.base
	u.Path += "/" + r.key
	u.RawQuery = r.query.Encode()
	var body io.Reader
	if r.body != nil {
		body = io.NewSectionReader(r.body, 0, r.size)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = r.size
	if r.size == 0 {
		req.Body, r.hash = http.NoBody, sigv4.EmptyHash
	}
	req.Header.Set("X-Amz-Content-Sha256", r.hash)
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	now := time.Now()
	if err := sigv4.Sign(req, c.key, c.region, "s3", now.Add(time.Duration(c.skew.Load()))); err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	err = readError(resp)
	if e := (*Error)(nil); errors.As(err, &e) && e.Code == "RequestTimeTooSkewed" {
		if there, dateErr := http.ParseTime(resp.Header.Get("Date")); dateErr == nil {
			c.skew.Store(int64(there.Sub(now)))
		}
	}
	return nil, err
}

// maxError bounds what is read of an answer that says no.
const maxError = 64 << 10

func readError(resp *http.Response) error {
	defer resp.Body.Close()
	e := &Error{Status: resp.StatusCode}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return err
	}
	if xml.Unmarshal(b, e) != nil || e.Code == "" {
		e.Code, e.Message = http.StatusText(resp.StatusCode), strings.ToValidUTF8(string(b[:min(len(b), 200)]), "?")
	}
	return e
}

// answered makes a request whose answer is small, and reads it.
func (c *client) answered(ctx context.Context, r request, out any) error {
	resp, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil || out == nil {
		return err
	}
	return xml.Unmarshal(b, out)
}

// page is a part of a listing.
type page struct {
	keys []string
	next string // token of the next page, "" at the end
}

// list returns keys in their order.
func (c *client) list(ctx context.Context, prefix, token string, limit int) (page, error) {
	q := url.Values{"list-type": {"2"}, "prefix": {prefix}, "max-keys": {strconv.Itoa(limit)}}
	if token != "" {
		q.Set("continuation-token", token)
	}
	var out struct {
		Contents []struct{ Key string }
		Next     string `xml:"NextContinuationToken"`
	}
	if err := c.answered(ctx, request{method: http.MethodGet, query: q}, &out); err != nil {
		return page{}, err
	}
	p := page{next: out.Next}
	for _, o := range out.Contents {
		p.keys = append(p.keys, o.Key)
	}
	return p, nil
}

// put stores size bytes of body, whose SHA-256 is hash.
func (c *client) put(ctx context.Context, key, hash string, body io.ReaderAt, size int64) error {
	return c.answered(ctx, request{method: http.MethodPut, key: key, body: body, size: size, hash: hash}, nil)
}

// copy stores at key what is at from. S3 may begin to answer well and then tell of an error.
func (c *client) copy(ctx context.Context, from, key string) error {
	var out struct {
		XMLName xml.Name
		Error
	}
	err := c.answered(ctx, request{method: http.MethodPut, key: key, header: map[string]string{"X-Amz-Copy-Source": c.bucket + "/" + from}}, &out)
	if err == nil && out.XMLName.Local == "Error" {
		out.Status = http.StatusInternalServerError
		return &out.Error
	}
	return err
}

// remove removes keys. One that is gone is no error.
func (c *client) remove(ctx context.Context, keys []string) error {
	for _, key := range keys {
		err := c.answered(ctx, request{method: http.MethodDelete, key: key}, nil)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// get opens an object from a byte on.
func (c *client) get(ctx context.Context, key string, from int64) (*http.Response, error) {
	r := request{method: http.MethodGet, key: key}
	if from > 0 {
		r.header = map[string]string{"Range": "bytes=" + strconv.FormatInt(from, 10) + "-"}
	}
	resp, err := c.do(ctx, r)
	if err == nil && from > 0 && resp.StatusCode != http.StatusPartialContent {
		err = errors.Join(errors.New("s3 does not serve parts of objects"), resp.Body.Close())
		return nil, err
	}
	return resp, err
}
