package sigv4

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// appendCanonical appends the canonical request: method, path, query, headers, names of the signed
// headers and the payload's hash, a line each.
func appendCanonical(dst []byte, r *http.Request, c *Claim, path, payloadHash string) []byte {
	dst = append(dst, r.Method...)
	dst = append(dst, '\n')
	dst = append(dst, path...)
	dst = append(dst, '\n')
	dst = appendQuery(dst, r.URL.RawQuery, c.Presigned)
	dst = append(dst, '\n')
	for _, name := range c.SignedHeaders {
		dst = append(dst, name...)
		dst = append(dst, ':')
		dst = appendHeader(dst, r, name)
		dst = append(dst, '\n')
	}
	dst = append(dst, '\n')
	for i, name := range c.SignedHeaders {
		if i > 0 {
			dst = append(dst, ';')
		}
		dst = append(dst, name...)
	}
	dst = append(dst, '\n')
	return append(dst, payloadHash...)
}

// canonicalPath returns the path as it is signed. The path that was sent is already encoded once.
func canonicalPath(r *http.Request, likeS3 bool) string {
	path := sentPath(r)
	if likeS3 {
		return string(appendEncoded(nil, unescape(path, false), true))
	}
	path = normalize(path)
	if plain(path) {
		return path
	}
	return string(appendEncoded(nil, path, true))
}

// sentPath returns the path byte for byte as it came in the request line.
func sentPath(r *http.Request) string {
	path := r.RequestURI
	if strings.HasPrefix(path, "/") {
		path, _, _ = strings.Cut(path, "?")
	} else {
		path = r.URL.EscapedPath()
	}
	if path == "" {
		return "/"
	}
	return path
}

// normalize removes empty, "." and ".." segments.
func normalize(path string) string {
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") {
		return path
	}
	var kept []string
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
		}
	}
	joined := "/" + strings.Join(kept, "/")
	if strings.HasSuffix(path, "/") && len(kept) > 0 {
		joined += "/"
	}
	return joined
}

// appendQuery appends the parameters sorted by name, then value, each encoded in the one way that
// signatures know. The signature itself is left out.
func appendQuery(dst []byte, raw string, presigned bool) []byte {
	if raw == "" {
		return dst
	}
	type parameter struct{ name, value string }
	parameters := make([]parameter, 0, 8)
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name = reencode(name)
		if presigned && name == "X-Amz-Signature" {
			continue
		}
		parameters = append(parameters, parameter{name, reencode(value)})
	}
	slices.SortStableFunc(parameters, func(a, b parameter) int {
		if d := strings.Compare(a.name, b.name); d != 0 {
			return d
		}
		return strings.Compare(a.value, b.value)
	})
	for i, p := range parameters {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(dst, p.name...)
		dst = append(dst, '=')
		dst = append(dst, p.value...)
	}
	return dst
}

// appendHeader appends the values of a header joined by commas, each trimmed and with runs of spaces
// made one. Some headers that a client signed are not in r.Header: net/http keeps them elsewhere.
func appendHeader(dst []byte, r *http.Request, name string) []byte {
	switch name {
	case "host", ":authority":
		return append(dst, r.Host...)
	}
	values := r.Header.Values(name)
	if len(values) == 0 {
		switch name {
		case "content-length":
			return strconv.AppendInt(dst, max(r.ContentLength, 0), 10)
		case "transfer-encoding":
			values = r.TransferEncoding
		case "expect":
			return append(dst, "100-continue"...) // HTTP/2 takes it out once it is answered
		}
	}
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendTrimmed(dst, v)
	}
	return dst
}

func appendTrimmed(dst []byte, v string) []byte {
	v = strings.TrimSpace(v)
	if !strings.Contains(v, "  ") {
		return append(dst, v...)
	}
	for i := range len(v) {
		if v[i] == ' ' && i > 0 && v[i-1] == ' ' {
			continue
		}
		dst = append(dst, v[i])
	}
	return dst
}

// unreserved tells whether a byte stands for itself in an encoded path or parameter (RFC 3986, 2.3).
func unreserved(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '.' || b == '_' || b == '~'
}

// plain tells whether encoding would change nothing in a path.
func plain(path string) bool {
	for i := range len(path) {
		if !unreserved(path[i]) && path[i] != '/' {
			return false
		}
	}
	return true
}

func appendEncoded(dst []byte, s string, keepSlash bool) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		if b := s[i]; unreserved(b) || keepSlash && b == '/' {
			dst = append(dst, b)
		} else {
			dst = append(dst, '%', hex[b>>4], hex[b&15])
		}
	}
	return dst
}

// reencode brings a part of a query string into the form that is signed.
func reencode(s string) string {
	for i := range len(s) {
		if !unreserved(s[i]) {
			return string(appendEncoded(nil, unescape(s, true), false))
		}
	}
	return s
}

// unescape undoes percent-encoding. A percent sign that begins no code stands for itself: the
// signature decides whether the client meant it so.
func unescape(s string, plusIsSpace bool) string {
	if !strings.Contains(s, "%") && !(plusIsSpace && strings.Contains(s, "+")) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		case s[i] == '+' && plusIsSpace:
			out = append(out, ' ')
		default:
			out = append(out, s[i])
		}
	}
	return string(out)
}

func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}

func unhex(b byte) byte {
	switch {
	case b <= '9':
		return b - '0'
	case b <= 'F':
		return b - 'A' + 10
	default:
		return b - 'a' + 10
	}
}
