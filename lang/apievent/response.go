package apievent

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// ErrMalformed says that a function's answer has not the shape that the API needs.
var ErrMalformed = errors.New("malformed Lambda proxy response")

func malformed(why string) error { return fmt.Errorf("%w: %s", ErrMalformed, why) }

// A Response is what a function's answer means in HTTP.
type Response struct {
	Status int
	Header []Header
	Body   []byte
	Base64 bool // Body is base64 text that Decode would turn into bytes
}

// MaxHeaders bounds the names and values of a response's headers, in bytes. AWS's own limit is narrower.
const MaxHeaders = 64 << 10

// A Header is one line of a response's head, its name written as the function wrote it.
type Header struct{ Name, Value string }

// Get returns the first value of a header, whatever the case of its name.
func (r *Response) Get(name string) string {
	for _, h := range r.Header {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// Default gives the response a header that it does not have yet.
func (r *Response) Default(name, value string) {
	if !slices.ContainsFunc(r.Header, func(h Header) bool { return strings.EqualFold(h.Name, name) }) {
		r.Header = append(r.Header, Header{name, value})
	}
}

// Decode turns a base64 body into its bytes; a body that is not marked as base64 stays.
func (r *Response) Decode() error {
	if !r.Base64 {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(string(r.Body))
	if err != nil {
		if b, err = base64.RawStdEncoding.DecodeString(string(r.Body)); err != nil {
			return malformed("body is not base64")
		}
	}
	r.Body, r.Base64 = b, false
	return nil
}

// ParseV1 reads the answer to an event of format 1.0. Every member may be left out, and no other may be there.
func ParseV1(payload []byte) (*Response, error) {
	m, err := parseObject(payload)
	if err != nil {
		return nil, err
	}
	for i := range m {
		switch name := m[i].name; name {
		case "statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded":
		default:
			return nil, malformed("unknown member " + strconv.Quote(name))
		}
	}
	r, err := parseCommon(m)
	if err != nil {
		return nil, err
	}
	return r, r.mergeMultiValue(m.get("multiValueHeaders"))
}

// ParseV2 reads the answer to an event of format 2.0. What has no statusCode is itself the body of a 200.
func ParseV2(payload []byte) (*Response, error) {
	m, err := parseObject(payload)
	if err != nil || !present(m.get("statusCode")) {
		return inferred(payload), nil
	}
	r, err := parseCommon(m)
	if err != nil {
		return nil, err
	}
	if len(m.get("cookies")) > MaxHeaders {
		return nil, malformed("cookies are too large")
	}
	if present(m.get("cookies")) {
		var cookies []string
		if json.Unmarshal(m.get("cookies"), &cookies) != nil {
			return nil, malformed("cookies is not a list of strings")
		}
		for _, c := range cookies {
			r.Header = append(r.Header, Header{"Set-Cookie", c})
		}
	}
	return r, nil
}

// inferred is the response to an answer without statusCode: a string goes out as its text, all else as JSON.
func inferred(payload []byte) *Response {
	r := &Response{Status: http.StatusOK, Body: payload, Header: []Header{{"Content-Type", "application/json"}}}
	var s string
	if json.Unmarshal(payload, &s) == nil && len(payload) > 0 && payload[0] == '"' {
		r.Body = []byte(s)
	}
	return r
}

func present(v json.RawMessage) bool { return len(v) > 0 && string(v) != "null" }

func parseCommon(m object) (*Response, error) {
	r := &Response{Status: http.StatusOK}
	if err := r.setStatus(m.get("statusCode")); err != nil {
		return nil, err
	}
	if err := r.setHeaders(m.get("headers")); err != nil {
		return nil, err
	}
	if v := m.get("body"); present(v) {
		s, ok := scalar(v)
		if !ok {
			return nil, malformed("body is not a string")
		}
		r.Body = []byte(s)
	}
	if v := m.get("isBase64Encoded"); present(v) {
		s, _ := scalar(v)
		b, err := strconv.ParseBool(strings.ToLower(s))
		if err != nil {
			return nil, malformed("isBase64Encoded is not a boolean")
		}
		r.Base64 = b
	}
	return r, nil
}

// setStatus takes a number, or a string that holds one.
func (r *Response) setStatus(v json.RawMessage) error {
	if !present(v) {
		return nil
	}
	s, _ := scalar(v)
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != float64(int(f)) || f < 200 || f > 599 {
		return malformed("statusCode is not an HTTP status")
	}
	r.Status = int(f)
	return nil
}

func (r *Response) setHeaders(v json.RawMessage) error {
	if !present(v) {
		return nil
	}
	if len(v) > MaxHeaders {
		return malformed("headers are too large")
	}
	all, err := members(v)
	if err != nil {
		return malformed("headers is not an object")
	}
	for _, h := range all {
		if !present(h.value) {
			continue
		}
		s, ok := scalar(h.value)
		if !ok {
			return malformed("header " + strconv.Quote(h.name) + " is not a string")
		}
		r.add(h.name, s)
	}
	return nil
}

// mergeMultiValue adds multiValueHeaders. As on AWS they stand before the single ones of the same name, and a value
// in both counts once.
func (r *Response) mergeMultiValue(v json.RawMessage) error {
	if !present(v) {
		return nil
	}
	if len(v) > MaxHeaders {
		return malformed("multiValueHeaders are too large")
	}
	all, err := members(v)
	if err != nil {
		return malformed("multiValueHeaders is not an object")
	}
	single := r.Header
	r.Header = nil
	for _, h := range all {
		name := h.name
		if !present(h.value) {
			continue
		}
		var list []json.RawMessage
		if json.Unmarshal(h.value, &list) != nil {
			return malformed("multiValueHeaders " + strconv.Quote(name) + " is not a list")
		}
		for _, e := range list {
			s, ok := scalar(e)
			if !ok {
				return malformed("multiValueHeaders " + strconv.Quote(name) + " is not a list of strings")
			}
			r.add(name, s)
		}
	}
	for _, h := range single {
		same := func(o Header) bool { return strings.EqualFold(o.Name, h.Name) && o.Value == h.Value }
		if !slices.ContainsFunc(r.Header, same) {
			r.Header = append(r.Header, h)
		}
	}
	return nil
}

// add appends a header; one that HTTP cannot carry is left out rather than sent broken.
func (r *Response) add(name, value string) {
	if name == "" || strings.ContainsFunc(name, notToken) || strings.ContainsAny(value, "\r\n\x00") {
		return
	}
	r.Header = append(r.Header, Header{name, value})
}

func notToken(c rune) bool {
	return c <= ' ' || c >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, c)
}

// Write sends the response. remap renames the headers: RemapREST or DropHop.
func (r *Response) Write(w http.ResponseWriter, remap func(string) string) {
	h := w.Header()
	for _, f := range r.Header {
		if name := remap(f.Name); name != "" {
			appendHeader(h, name, f.Value)
		}
	}
	if r.Status != http.StatusNoContent && r.Status != http.StatusNotModified {
		h["Content-Length"] = []string{strconv.Itoa(len(r.Body))}
	}
	w.WriteHeader(r.Status)
	_, _ = w.Write(r.Body) // the client has gone; there is no one to tell
}

// appendHeader keeps the case in which the function wrote the name, and one entry per name whatever its case.
func appendHeader(h http.Header, name, value string) {
	for have := range h {
		if strings.EqualFold(have, name) {
			h[have] = append(h[have], value)
			return
		}
	}
	if http.CanonicalHeaderKey(name) == "Content-Type" {
		name = "Content-Type" // net/http guesses one unless it finds this spelling
	}
	h[name] = []string{value}
}

// RemapREST names a backend's header as REST APIs send it to the client: those that the gateway needs for itself get
// the prefix x-amzn-Remapped-, and "" is left out.
func RemapREST(name string) string {
	switch http.CanonicalHeaderKey(name) {
	case "Authorization", "Connection", "Content-Length", "Content-Md5", "Date", "Expect", "Host", "Max-Forwards",
		"Proxy-Authenticate", "Server", "User-Agent", "Www-Authenticate", "X-Amzn-Requestid":
		return "x-amzn-Remapped-" + name
	case "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return ""
	}
	return name
}

// DropHop leaves out the headers that concern the connection or that the server sets itself, as HTTP APIs and
// function URLs do; all others keep their names.
func DropHop(name string) string {
	canonical := http.CanonicalHeaderKey(name)
	if hopHeader(canonical) || canonical == "Content-Length" || canonical == "Date" {
		return ""
	}
	return name
}
