package sigv4

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Form is the fields of a browser's upload to S3, by lower-case names, without the file. What it may
// hold is laid down in its field "policy", which is what is signed.
type Form map[string]string

// signatureFields lists the fields that a signed form must have, as S3 spells them.
var signatureFields = []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Signature", "Policy"}

// ParseForm reads the signature of a form. Without any it returns an *Error with the reason Missing.
func ParseForm(f Form) (*Claim, error) {
	if f["x-amz-signature"] == "" && (f["awsaccesskeyid"] != "" || f["signature"] != "") {
		return parseV2Form(f)
	}
	var absent []string
	for _, name := range signatureFields {
		if f[strings.ToLower(name)] == "" {
			absent = append(absent, name)
		}
	}
	if len(absent) == len(signatureFields) {
		return nil, errorf(Missing, "Access Denied")
	}
	if len(absent) > 0 {
		return nil, fieldAbsent(absent[0])
	}
	c := &Claim{
		Algorithm: f["x-amz-algorithm"], Signature: f["x-amz-signature"], SessionToken: f["x-amz-security-token"],
		stamp: f["x-amz-date"],
	}
	if c.Algorithm != AlgorithmHMAC {
		return nil, errorf(Malformed, "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\" in a form")
	}
	if err := c.setCredential(f["x-amz-credential"]); err != nil {
		return nil, err
	}
	var err error
	if c.Time, err = time.Parse(timeFormat, c.stamp); err != nil {
		return nil, errorf(Malformed, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
	}
	return c, c.checkDate()
}

func fieldAbsent(name string) error {
	return &Error{Reason: FieldAbsent, Field: name,
		Message: "Bucket POST must contain a field named '" + name + "'.  If it is specified, please check the order of the fields."}
}

// VerifyForm checks that the form's policy was signed with secret. Whether the policy allows the form is
// asked of Policy.Check.
func (v *Verifier) VerifyForm(f Form, c *Claim, secret string) error {
	if c.Algorithm == AlgorithmV2 {
		if equalMAC1(secret, f["policy"], c.Signature) {
			return nil
		}
	} else if key := v.keys.key(keyName{secret, c.Date, c.Region, c.Service}); equalMAC(key[:], f["policy"], c.Signature) {
		return nil
	}
	return &Error{Reason: Mismatch, AccessKeyID: c.AccessKeyID, StringToSign: f["policy"], Provided: c.Signature,
		Message: "The request signature we calculated does not match the signature you provided. Check your key and signing method."}
}

// A Policy says which forms may be uploaded until when.
type Policy struct {
	Expiration time.Time
	conditions []condition
}

// A condition is one of a policy's: a field equals or begins with a value, or the file's length is in a range.
type condition struct {
	kind         string // "eq", "starts-with", "content-length-range"
	field, value string
	least, most  int64
	text         string // as it was written
}

// ParsePolicy reads a form's field "policy": JSON in base64.
func ParsePolicy(field string) (*Policy, error) {
	raw, err := base64.StdEncoding.DecodeString(field)
	if err != nil {
		return nil, errorf(PolicyInvalid, "Invalid Policy: Invalid Base64 encoding.")
	}
	var doc struct {
		Expiration string            `json:"expiration"`
		Conditions []json.RawMessage `json:"conditions"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, errorf(PolicyInvalid, "Invalid Policy: Invalid JSON.")
	}
	p := &Policy{}
	if p.Expiration, err = time.Parse(time.RFC3339, doc.Expiration); err != nil {
		return nil, errorf(PolicyInvalid, "Invalid Policy: Invalid 'expiration' value: '%s'", doc.Expiration)
	}
	if doc.Conditions == nil {
		return nil, errorf(PolicyInvalid, "Invalid Policy: Policy missing conditions.")
	}
	for _, text := range doc.Conditions {
		c, err := parseCondition(text)
		if err != nil {
			return nil, err
		}
		p.conditions = append(p.conditions, c...)
	}
	return p, nil
}

func parseCondition(text json.RawMessage) ([]condition, error) {
	var object map[string]string
	if json.Unmarshal(text, &object) == nil {
		var list []condition
		for name, value := range object {
			list = append(list, condition{kind: "eq", field: strings.ToLower(name), value: value, text: triple("eq", name, value)})
		}
		return list, nil
	}
	var parts []any
	if json.Unmarshal(text, &parts) != nil || len(parts) != 3 {
		return nil, errorf(PolicyInvalid, "Invalid Policy: Invalid Simple-Condition: value must be a string.")
	}
	kind, _ := parts[0].(string)
	c := condition{kind: strings.ToLower(kind)}
	switch c.kind {
	case "eq", "starts-with":
		field, ok1 := parts[1].(string)
		value, ok2 := parts[2].(string)
		name, ok3 := strings.CutPrefix(field, "$")
		if !ok1 || !ok2 || !ok3 {
			return nil, errorf(PolicyInvalid, "Invalid Policy: Invalid %s condition.", c.kind)
		}
		c.field, c.value, c.text = strings.ToLower(name), value, triple(c.kind, "$"+name, value)
	case "content-length-range":
		var ok1, ok2 bool
		c.least, ok1 = asLength(parts[1])
		c.most, ok2 = asLength(parts[2])
		if !ok1 || !ok2 {
			return nil, failed(triple(c.kind, parts[1], parts[2]))
		}
	default:
		return nil, errorf(PolicyInvalid, "Invalid Policy: Unknown operation '%s'.", kind)
	}
	return []condition{c}, nil
}

// asLength reads a length, which some clients write as a string.
func asLength(v any) (int64, bool) {
	switch v := v.(type) {
	case float64:
		return int64(v), v >= 0 && v < 1<<53
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil && n >= 0
	}
	return 0, false
}

func triple(parts ...any) string {
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = strconv.Quote(fmt.Sprint(p))
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

func failed(text string) error {
	return errorf(PolicyFailed, "Invalid according to Policy: Policy Condition failed: %s", text)
}

// Check tells whether the policy allows the form for a bucket at now. The file's length must be between
// least and most, which PolicyTooSmall and PolicyTooLarge are for.
func (p *Policy) Check(f Form, bucket string, now time.Time) (least, most int64, err error) {
	if !now.Before(p.Expiration) {
		return 0, 0, errorf(PolicyFailed, "Invalid according to Policy: Policy expired.")
	}
	least, most = 0, math.MaxInt64
	covered := map[string]bool{}
	for _, c := range p.conditions {
		if c.kind == "content-length-range" {
			least, most = max(least, c.least), min(most, c.most)
			continue
		}
		value := f[c.field]
		if c.field == "bucket" {
			value = bucket
		}
		if c.kind == "eq" && value != c.value || !strings.HasPrefix(value, c.value) && c.kind == "starts-with" {
			return 0, 0, failed(c.text)
		}
		covered[c.field] = true
	}
	var extra []string
	for name := range f {
		switch {
		case covered[name], strings.HasPrefix(name, "x-ignore-"):
		case name == "policy", name == "x-amz-signature", name == "bucket", name == "awsaccesskeyid", name == "signature":
		default:
			extra = append(extra, name)
		}
	}
	if len(extra) > 0 {
		slices.Sort(extra)
		return 0, 0, errorf(PolicyFailed, "Invalid according to Policy: Extra input fields: %s", strings.Join(extra, ", "))
	}
	return least, most, nil
}
