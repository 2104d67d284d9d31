package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Claim is what a request says of its own signature. Nothing in it is true before Verify.
type Claim struct {
	Algorithm     string // AlgorithmHMAC, AlgorithmECDSA or AlgorithmV2
	AccessKeyID   string
	Date          string // of the credential scope, yyyymmdd
	Region        string // of the credential scope; with ECDSA the first of RegionSet
	RegionSet     string // ECDSA: comma-separated regions, "*" may stand for any part
	Service       string // of the credential scope
	SignedHeaders []string
	Signature     string // hexadecimal
	Time          time.Time
	Presigned     bool          // the signature is in the query string
	Expires       time.Duration // presigned only: how long it is good
	SessionToken  string

	// Bucket is the S3 bucket that the host names: version 2 signs it, and only the server knows which
	// part of the host it is.
	Bucket string

	stamp    string // Time as it was written
	dateLine string // version 2: the line of the string to sign that holds Date or Expires
	query    url.Values
}

// Scope returns the credential scope as it stands in the string to sign.
func (c *Claim) Scope() string {
	if c.Algorithm == AlgorithmECDSA {
		return c.Date + "/" + c.Service + "/" + terminator
	}
	return c.Date + "/" + c.Region + "/" + c.Service + "/" + terminator
}

// Parse reads the signature of r from its header or its query string. Without any it returns an *Error
// with the reason Missing.
func Parse(r *http.Request) (*Claim, error) {
	if auth := r.Header.Get("Authorization"); auth != "" {
		return parseHeader(r, auth)
	}
	if strings.Contains(r.URL.RawQuery, "X-Amz-") || strings.Contains(r.URL.RawQuery, "AWSAccessKeyId=") {
		return parseQuery(r)
	}
	return nil, errorf(Missing, "Request is missing Authentication Token")
}

func parseHeader(r *http.Request, auth string) (*Claim, error) {
	algorithm, rest, _ := strings.Cut(auth, " ")
	switch algorithm {
	case AlgorithmHMAC, AlgorithmECDSA:
	case AlgorithmV2:
		return parseV2Header(r, rest)
	default:
		return nil, errorf(Unsupported, "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
	}
	c := &Claim{Algorithm: algorithm, SessionToken: r.Header.Get("X-Amz-Security-Token")}
	var credential, signed string
	for part := range strings.SplitSeq(rest, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return nil, errorf(Malformed, "'%s' not a valid key=value pair (missing equal-sign) in Authorization header: '%s'.", part, auth)
		}
		switch key {
		case "Credential":
			credential = value
		case "SignedHeaders":
			signed = value
		case "Signature":
			c.Signature = value
		}
	}
	var missing []string
	for _, p := range []struct{ name, value string }{{"Credential", credential}, {"Signature", c.Signature}, {"SignedHeaders", signed}} {
		if p.value == "" {
			missing = append(missing, "Authorization header requires '"+p.name+"' parameter.")
		}
	}
	stamp, at, stampErr := headerTime(r.Header)
	if stamp == "" {
		missing = append(missing, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	if len(missing) > 0 {
		return nil, errorf(Incomplete, "%s Authorization=%s", strings.Join(missing, " "), algorithm)
	}
	if stampErr != nil {
		return nil, stampErr
	}
	c.stamp, c.Time = stamp, at
	if err := c.setCredential(credential); err != nil {
		return nil, err
	}
	if algorithm == AlgorithmECDSA {
		if err := c.setRegions(r.Header.Get("X-Amz-Region-Set")); err != nil {
			return nil, err
		}
	}
	if err := c.setSignedHeaders(signed); err != nil {
		return nil, err
	}
	return c, c.checkDate()
}

// headerTime returns the time of a request signed in its header, as it enters the string to sign.
func headerTime(h http.Header) (stamp string, at time.Time, err error) {
	if stamp = h.Get("X-Amz-Date"); stamp != "" {
		at, perr := time.Parse(timeFormat, stamp)
		if perr != nil {
			return stamp, at, errorf(Malformed, "Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", stamp)
		}
		return stamp, at, nil
	}
	date := h.Get("Date")
	if date == "" {
		return "", time.Time{}, nil
	}
	if at, perr := time.Parse(timeFormat, date); perr == nil {
		return date, at, nil
	}
	at, perr := http.ParseTime(date)
	if perr != nil {
		return date, at, errorf(Malformed, "Date must be in ISO-8601 'basic format'. Got '%s'. See http://en.wikipedia.org/wiki/ISO_8601", date)
	}
	at = at.UTC()
	return at.Format(timeFormat), at, nil
}

func parseQuery(r *http.Request) (*Claim, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, queryErrorf(Malformed, "The query string cannot be read: %v", err)
	}
	if !slices.ContainsFunc(queryParameters, q.Has) {
		if q.Has("AWSAccessKeyId") && q.Has("Signature") {
			return parseV2Query(q)
		}
		return nil, errorf(Missing, "Request is missing Authentication Token")
	}
	for _, name := range queryParameters {
		if q.Get(name) == "" && (name != "X-Amz-Expires" || SignsLikeS3(scopeService(q.Get("X-Amz-Credential")))) {
			return nil, queryErrorf(Incomplete, "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
		}
	}
	c := &Claim{
		Algorithm:    q.Get("X-Amz-Algorithm"),
		Signature:    q.Get("X-Amz-Signature"),
		SessionToken: q.Get("X-Amz-Security-Token"),
		Presigned:    true,
		query:        q,
	}
	if c.Algorithm != AlgorithmHMAC && c.Algorithm != AlgorithmECDSA {
		return nil, queryErrorf(Malformed, "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256\"")
	}
	if err := c.setCredential(q.Get("X-Amz-Credential")); err != nil {
		return nil, inQuery(err)
	}
	c.stamp = q.Get("X-Amz-Date")
	if c.Time, err = time.Parse(timeFormat, c.stamp); err != nil {
		return nil, queryErrorf(Malformed, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
	}
	if err := c.setExpires(q.Get("X-Amz-Expires")); err != nil {
		return nil, inQuery(err)
	}
	if c.Algorithm == AlgorithmECDSA {
		if err := c.setRegions(q.Get("X-Amz-Region-Set")); err != nil {
			return nil, inQuery(err)
		}
	}
	if err := c.setSignedHeaders(q.Get("X-Amz-SignedHeaders")); err != nil {
		return nil, inQuery(err)
	}
	return c, inQuery(c.checkDate())
}

var queryParameters = []string{"X-Amz-Signature", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires"}

func queryErrorf(reason Reason, format string, args ...any) error {
	return inQuery(errorf(reason, format, args...))
}

// inQuery notes that the signature of err stands in the query string. It keeps nil nil.
func inQuery(err error) error {
	if e, ok := err.(*Error); ok {
		e.Query = true
	}
	return err
}

// scopeService returns the service that a credential names, "" when it names none.
func scopeService(credential string) string {
	parts := strings.Split(credential, "/")
	if len(parts) < 4 {
		return ""
	}
	return parts[len(parts)-2]
}

// setCredential takes apart keyid/date/region/service/aws4_request, for ECDSA without the region.
// A key id may hold slashes, so the parts are counted from the end.
func (c *Claim) setCredential(credential string) error {
	want := 5
	if c.Algorithm == AlgorithmECDSA {
		want = 4
	}
	parts := strings.Split(credential, "/")
	if len(parts) < want || slices.Contains(parts, "") {
		if c.Presigned {
			return errorf(Malformed, "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".")
		}
		return errorf(Malformed, "Credential must have exactly %d slash-delimited elements, e.g. keyid/date/region/service/term, got '%s'", want, credential)
	}
	scope := parts[len(parts)-want+1:]
	c.AccessKeyID = strings.Join(parts[:len(parts)-want+1], "/")
	if scope[len(scope)-1] != terminator {
		return errorf(Malformed, "Credential should be scoped with a valid terminator: 'aws4_request'.")
	}
	c.Date, c.Service = scope[0], scope[len(scope)-2]
	if c.Algorithm == AlgorithmHMAC {
		c.Region = scope[1]
	}
	if _, err := time.Parse(dateFormat, c.Date); err != nil {
		return errorf(Malformed, "Date in Credential scope must be of the form YYYYMMDD, got '%s'", c.Date)
	}
	return nil
}

func (c *Claim) setRegions(set string) error {
	if set == "" {
		return errorf(Incomplete, "A signature of %s requires X-Amz-Region-Set.", AlgorithmECDSA)
	}
	c.RegionSet = set
	first, _, _ := strings.Cut(set, ",")
	c.Region = strings.TrimSpace(first)
	return nil
}

func (c *Claim) setSignedHeaders(list string) error {
	c.SignedHeaders = strings.Split(list, ";")
	if len(c.SignedHeaders) > maxSignedHeaders {
		return errorf(Malformed, "SignedHeaders names more than %d headers.", maxSignedHeaders)
	}
	if !slices.Contains(c.SignedHeaders, "host") && !slices.Contains(c.SignedHeaders, ":authority") {
		return errorf(Malformed, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	return nil
}

func (c *Claim) setExpires(s string) error {
	if s == "" { // only services other than S3 come here without it
		c.Expires = MaxSkew
		return nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		return errorf(Malformed, "X-Amz-Expires should be a number")
	case n < 0:
		return errorf(Malformed, "X-Amz-Expires must be non-negative")
	case n > int64(MaxExpires/time.Second):
		return errorf(Malformed, "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
	}
	c.Expires = time.Duration(n) * time.Second
	return nil
}

func (c *Claim) checkDate() error {
	if day := c.stamp[:len(dateFormat)]; day != c.Date {
		return errorf(ScopeDate, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '%s' != '%s', from '%s'.", c.Date, day, c.stamp)
	}
	return nil
}

// checkTime tells whether the signature is good at now.
func (c *Claim) checkTime(now time.Time) error {
	now = now.UTC()
	if c.Time.Sub(now) > MaxSkew {
		return &Error{Reason: NotYet, Query: c.Presigned, Message: "Signature not yet current: " + c.stamp + " is still later than " +
			now.Add(MaxSkew).Format(timeFormat) + " (" + now.Format(timeFormat) + " + 15 min.)"}
	}
	if c.Presigned {
		if now.Sub(c.Time) > c.Expires {
			return &Error{Reason: Expired, Query: true, Message: "Signature expired: " + c.stamp + " is now earlier than " +
				now.Add(-c.Expires).Format(timeFormat) + " (" + now.Format(timeFormat) + " - " + c.Expires.String() + ")"}
		}
		return nil
	}
	if now.Sub(c.Time) > MaxSkew {
		return &Error{Reason: Skewed, Message: "Signature expired: " + c.stamp + " is now earlier than " +
			now.Add(-MaxSkew).Format(timeFormat) + " (" + now.Format(timeFormat) + " - 15 min.)"}
	}
	return nil
}

// Allows tells whether an ECDSA claim's region set covers region; with HMAC it is the scope's region.
func (c *Claim) Allows(region string) bool {
	if c.Algorithm != AlgorithmECDSA {
		return region == c.Region
	}
	for pattern := range strings.SplitSeq(c.RegionSet, ",") {
		if matchRegion(strings.TrimSpace(pattern), region) {
			return true
		}
	}
	return false
}

// matchRegion matches a region against a pattern in which "*" stands for any run of characters. On a
// mismatch it goes back to the last star only, so the work is at most the product of the two lengths.
func matchRegion(pattern, region string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(region) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == region[i]:
			p, i = p+1, i+1
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
