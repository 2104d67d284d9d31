package wire

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"

	"lambent/cloud"
)

// Decompress undoes the compression that a client applied to a body: gzip, where it is the last of the request's
// content codings (the trait requestCompression; SDKs do it from 10 KiB on for the operations that have it).
// The header that comes back names the codings before it, which are part of the message; h does not change. limit is
// how many bytes may come out; more is the error that http.MaxBytesReader gives. A body that is no gzip is a
// *cloud.Fault.
func Decompress(h http.Header, body []byte, limit int64) ([]byte, http.Header, error) {
	rest, ok := cutGzip(h.Values("Content-Encoding"))
	if len(body) == 0 || !ok {
		return body, h, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, nil, notGzip(err)
	}
	plain, err := io.ReadAll(http.MaxBytesReader(nil, io.NopCloser(z), limit))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, notGzip(err)
	}
	h = h.Clone()
	h.Del("Content-Encoding")
	if rest != "" {
		h.Set("Content-Encoding", rest)
	}
	return plain, h, nil
}

// cutGzip takes gzip off the end of a list of codings; ok is false where it is not there.
func cutGzip(values []string) (rest string, ok bool) {
	if len(values) == 0 {
		return "", false
	}
	all := strings.Join(values, ",")
	i := strings.LastIndexByte(all, ',')
	if !strings.EqualFold(strings.TrimSpace(all[i+1:]), "gzip") {
		return "", false
	}
	return strings.TrimSpace(all[:max(i, 0)]), true
}

func notGzip(cause error) *cloud.Fault {
	return &cloud.Fault{Code: "SerializationException", Message: "The request body is not valid gzip", Cause: cause}
}
