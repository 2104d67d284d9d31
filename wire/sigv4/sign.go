package sigv4

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sign puts a signature into the header of r. The body is read and put back to hash it, unless
// X-Amz-Content-Sha256 is already set. Whatever header is set before Sign is signed with it, but for a
// few that proxies change.
func Sign(r *http.Request, creds Credentials, region, service string, at time.Time) error {
	c := newClaim(AlgorithmHMAC, creds, region, service, at)
	hash, err := prepare(r, c)
	if err != nil {
		return err
	}
	key := deriveKey(creds.SecretAccessKey, c.Date, region, service)
	mac := hmacSHA256(key[:], stringToSign(r, c, hash))
	setAuthorization(r, c, creds.AccessKeyID+"/"+c.Scope(), hex.EncodeToString(mac[:]))
	return nil
}

// SignA signs r as Sign does, with SigV4a, for a comma-separated set of regions.
func SignA(r *http.Request, creds Credentials, regionSet, service string, at time.Time) error {
	pair, err := derivePair(creds.AccessKeyID, creds.SecretAccessKey)
	if err != nil {
		return err
	}
	c := newClaim(AlgorithmECDSA, creds, "", service, at)
	r.Header.Set("X-Amz-Region-Set", regionSet)
	hash, err := prepare(r, c)
	if err != nil {
		return err
	}
	signature, err := signECDSA(pair, stringToSign(r, c, hash))
	if err != nil {
		return err
	}
	setAuthorization(r, c, creds.AccessKeyID+"/"+c.Scope(), signature)
	return nil
}

// Presign returns r's URL with a signature in its query string, good for expires. Headers that are set
// on r are signed: whoever uses the URL must send them alike.
func Presign(r *http.Request, creds Credentials, region, service string, at time.Time, expires time.Duration) (*url.URL, error) {
	if expires < 0 || expires > MaxExpires {
		return nil, fmt.Errorf("presign for %v: at most %v is possible", expires, MaxExpires)
	}
	c := newClaim(AlgorithmHMAC, creds, region, service, at)
	c.Presigned = true
	c.SignedHeaders = headersToSign(r)
	q := r.URL.Query()
	q.Set("X-Amz-Algorithm", c.Algorithm)
	q.Set("X-Amz-Credential", creds.AccessKeyID+"/"+c.Scope())
	q.Set("X-Amz-Date", c.stamp)
	q.Set("X-Amz-Expires", strconv.FormatInt(int64(expires/time.Second), 10))
	q.Set("X-Amz-SignedHeaders", strings.Join(c.SignedHeaders, ";"))
	if creds.SessionToken != "" {
		q.Set("X-Amz-Security-Token", creds.SessionToken)
	}
	hash := UnsignedPayload
	if !SignsLikeS3(service) {
		var err error
		if hash, err = hashBody(r); err != nil {
			return nil, err
		}
	}
	signed := r.Clone(r.Context())
	signed.RequestURI = ""
	signed.URL.RawQuery = string(appendQuery(nil, q.Encode(), true))
	key := deriveKey(creds.SecretAccessKey, c.Date, region, service)
	mac := hmacSHA256(key[:], stringToSign(signed, c, hash))
	signed.URL.RawQuery += "&X-Amz-Signature=" + hex.EncodeToString(mac[:])
	return signed.URL, nil
}

func newClaim(algorithm string, creds Credentials, region, service string, at time.Time) *Claim {
	at = at.UTC()
	return &Claim{
		Algorithm: algorithm, AccessKeyID: creds.AccessKeyID, SessionToken: creds.SessionToken,
		Date: at.Format(dateFormat), Region: region, Service: service, Time: at, stamp: at.Format(timeFormat),
	}
}

// prepare sets the headers that a signature needs and returns the payload's hash.
func prepare(r *http.Request, c *Claim) (hash string, err error) {
	r.Header.Set("X-Amz-Date", c.stamp)
	if c.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", c.SessionToken)
	}
	if hash = r.Header.Get("X-Amz-Content-Sha256"); hash == "" {
		if hash, err = hashBody(r); err != nil {
			return "", err
		}
		if SignsLikeS3(c.Service) {
			r.Header.Set("X-Amz-Content-Sha256", hash)
		}
	}
	c.SignedHeaders = headersToSign(r)
	return hash, nil
}

func stringToSign(r *http.Request, c *Claim, hash string) string {
	path := sentPath(r)
	if !SignsLikeS3(c.Service) {
		path = canonicalPath(r, false)
	}
	canonical := appendCanonical(nil, r, c, path, hash)
	sum := sha256.Sum256(canonical)
	return c.Algorithm + "\n" + c.stamp + "\n" + c.Scope() + "\n" + hex.EncodeToString(sum[:])
}

func setAuthorization(r *http.Request, c *Claim, credential, signature string) {
	r.Header.Set("Authorization", c.Algorithm+" Credential="+credential+
		", SignedHeaders="+strings.Join(c.SignedHeaders, ";")+", Signature="+signature)
}

// headersToSign lists the headers of r, lower case and sorted, without those that are changed or added
// on the way.
func headersToSign(r *http.Request) []string {
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	names := []string{"host"}
	for name := range r.Header {
		switch lower := strings.ToLower(name); lower {
		case "authorization", "connection", "content-length", "expect", "host", "te", "trailer",
			"transfer-encoding", "upgrade", "user-agent", "x-amzn-trace-id":
		default:
			names = append(names, lower)
		}
	}
	slices.Sort(names)
	return names
}

func hashBody(r *http.Request) (string, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return EmptyHash, nil
	}
	body, err := io.ReadAll(r.Body)
	if err = errors.Join(err, r.Body.Close()); err != nil {
		return "", fmt.Errorf("read the body to sign it: %w", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:]), nil
}
