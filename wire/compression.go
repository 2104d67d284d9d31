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
// Codings before it are part of the message. limit is how many bytes may come out; more is the error that
// http.MaxBytesReader gives. A body that is no gzip is a *cloud.Fault.
func Decompress(h http.Header, body []byte, limit int64) ([]byte, error) {
	if len(body) == 0 || !lastCodingIsGzip(h.Values("Content-Encoding")) {
		return body, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, notGzip(err)
	}
	plain, err := io.ReadAll(http.MaxBytesReader(nil, io.NopCloser(z), limit))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, err
	}
	if err != nil {
		return nil, notGzip(err)
	}
	return plain, nil
}

func lastCodingIsGzip(values []string) bool {
	if len(values) == 0 {
		return false
	}
	codings := strings.Split(values[len(values)-1], ",")
	return strings.EqualFold(strings.TrimSpace(codings[len(codings)-1]), "gzip")
}

func notGzip(cause error) *cloud.Fault {
	return &cloud.Fault{Code: "SerializationException", Message: "The request body is not valid gzip", Cause: cause}
}
