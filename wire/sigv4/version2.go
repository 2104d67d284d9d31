package sigv4

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// AlgorithmV2 is S3's signature of before version 4. It is here because boto3 still makes it unless it is
// told otherwise: for the URLs of generate_presigned_url and the forms of generate_presigned_post. Other
// services never took it. It names no region and covers nothing of the body.
const AlgorithmV2 = "AWS"

// parseV2Header reads "AWS KEY:SIGNATURE".
func parseV2Header(r *http.Request, rest string) (*Claim, error) {
	id, signature, ok := cutLast(strings.TrimSpace(rest), ":")
	if !ok || id == "" || signature == "" {
		return nil, errorf(Malformed, "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature")
	}
	c := &Claim{Algorithm: AlgorithmV2, Service: "s3", AccessKeyID: id, Signature: signature, SessionToken: r.Header.Get("X-Amz-Security-Token")}
	c.dateLine = r.Header.Get("Date")
	date := c.dateLine
	if amz := r.Header.Get("X-Amz-Date"); amz != "" {
		date, c.dateLine = amz, "" // it stands among the x-amz- headers
	}
	at, err := http.ParseTime(date)
	if err != nil {
		at, err = time.Parse(time.RFC1123Z, date)
	}
	if err != nil {
		at, err = time.Parse(timeFormat, date)
	}
	if err != nil {
		return nil, errorf(Malformed, "AWS authentication requires a valid Date or x-amz-date header")
	}
	c.Time, c.stamp = at.UTC(), at.UTC().Format(timeFormat)
	return c, nil
}

// parseV2Query reads the parameters AWSAccessKeyId, Expires and Signature.
func parseV2Query(q url.Values) (*Claim, error) {
	c := &Claim{
		Algorithm: AlgorithmV2, Service: "s3", AccessKeyID: q.Get("AWSAccessKeyId"), Signature: q.Get("Signature"),
		SessionToken: q.Get("x-amz-security-token"), Presigned: true, dateLine: q.Get("Expires"), query: q,
	}
	if c.AccessKeyID == "" || c.Signature == "" || c.dateLine == "" {
		return nil, queryErrorf(Incomplete, "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
	}
	seconds, err := strconv.ParseInt(c.dateLine, 10, 64)
	if err != nil {
		return nil, queryErrorf(Malformed, "Invalid date (should be seconds since epoch): %s", c.dateLine)
	}
	c.Time = time.Unix(seconds, 0).UTC()
	return c, nil
}

// verifyV2 checks a signature of version 2. For a bucket that the host names, c.Bucket must be set.
func verifyV2(r *http.Request, c *Claim, secret string, now time.Time) (*Proof, error) {
	if c.Presigned && now.After(c.Time) {
		return nil, inQuery(errorf(Expired, "Request has expired"))
	}
	if !c.Presigned {
		if err := c.checkTime(now); err != nil {
			return nil, err
		}
	}
	path := sentPath(r)
	toSign := c.stringToSignV2(r, path)
	if equalMAC1(secret, toSign, c.Signature) {
		return &Proof{claim: c, signature: c.Signature}, nil
	}
	// botocore signs "/bucket/" where it sends "/bucket".
	if c.Bucket == "" && strings.Count(path, "/") == 1 && equalMAC1(secret, c.stringToSignV2(r, path+"/"), c.Signature) {
		return &Proof{claim: c, signature: c.Signature}, nil
	}
	return nil, &Error{Reason: Mismatch, Query: c.Presigned, AccessKeyID: c.AccessKeyID, StringToSign: toSign, Provided: c.Signature,
		Message: "The request signature we calculated does not match the signature you provided. Check your key and signing method."}
}

func equalMAC1(secret, toSign, signature string) bool {
	h := hmac.New(sha1.New, []byte(secret))
	h.Write([]byte(toSign))
	return subtle.ConstantTimeCompare([]byte(base64.StdEncoding.EncodeToString(h.Sum(nil))), []byte(signature)) == 1
}

// stringToSignV2 is laid down in "Signing and authenticating REST requests (AWS signature version 2)".
func (c *Claim) stringToSignV2(r *http.Request, path string) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + r.Header.Get("Content-Md5") + "\n" + r.Header.Get("Content-Type") + "\n" + c.dateLine + "\n")
	for _, line := range c.amzLines(r) {
		b.WriteString(line + "\n")
	}
	if c.Bucket != "" {
		b.WriteString("/" + c.Bucket)
	}
	b.WriteString(path)
	b.WriteString(subresources(r.URL.RawQuery))
	return b.String()
}

// amzLines lists the x-amz- headers. In a presigned URL they may stand among the parameters.
func (c *Claim) amzLines(r *http.Request) []string {
	var lines []string
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") {
			lines = append(lines, lower+":"+string(appendHeader(nil, r, lower)))
		}
	}
	for name, values := range c.query {
		if strings.HasPrefix(name, "x-amz-") && r.Header.Get(name) == "" {
			lines = append(lines, name+":"+strings.Join(values, ","))
		}
	}
	slices.Sort(lines)
	return lines
}

// signedParameters are the parameters that version 2 covers.
var signedParameters = []string{"accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "encryption", "inventory", "lifecycle",
	"location", "logging", "metrics", "notification", "object-lock", "partNumber", "policy", "replication", "requestPayment",
	"response-cache-control", "response-content-disposition", "response-content-encoding", "response-content-language",
	"response-content-type", "response-expires", "restore", "select", "select-type", "storageClass", "tagging", "torrent", "uploadId",
	"uploads", "versionId", "versioning", "versions", "website"}

// subresources writes the covered parameters sorted, with their values decoded.
func subresources(raw string) string {
	var kept []string
	for part := range strings.SplitSeq(raw, "&") {
		name, value, hasValue := strings.Cut(part, "=")
		if !slices.Contains(signedParameters, name) {
			continue
		}
		if hasValue && value != "" {
			name += "=" + unescape(value, true)
		}
		kept = append(kept, name)
	}
	if len(kept) == 0 {
		return ""
	}
	slices.Sort(kept)
	return "?" + strings.Join(kept, "&")
}

// parseV2Form reads the signature of an upload form of version 2.
func parseV2Form(f Form) (*Claim, error) {
	for _, name := range []string{"AWSAccessKeyId", "Signature", "Policy"} {
		if f[strings.ToLower(name)] == "" {
			return nil, fieldAbsent(name)
		}
	}
	return &Claim{Algorithm: AlgorithmV2, Service: "s3", AccessKeyID: f["awsaccesskeyid"], Signature: f["signature"], SessionToken: f["x-amz-security-token"]}, nil
}

// cutLast cuts s at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
