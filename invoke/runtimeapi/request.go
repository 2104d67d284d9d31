package runtimeapi

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"io"
	"strconv"
)

// Bounds of what a runtime may send. AWS's own runtimes send an X-Ray cause of up to a megabyte in a
// header, so long header lines are skipped, not refused.
const (
	maxHead    = 2 << 20
	maxHeaders = 128
	maxTarget  = 1024 // of the path

	streamBuffer = 16 << 10
)

var errTooLarge = errors.New("body larger than allowed")

// A malformed request is answered once, then its connection is closed.
type malformed struct {
	status int
	what   string
}

func (m malformed) Error() string { return m.what }

func badRequest(err error) (status int, ok bool) {
	var m malformed
	ok = errors.As(err, &m)
	return m.status, ok
}

// A request is the head of one HTTP request and where reading of its body stands. It is used again for
// every request of a connection, so that a warm invocation allocates little more than its body.
type request struct {
	method    []byte
	path      []byte // without query
	errorType []byte
	kind      []byte // Content-Type
	streaming bool   // the body is an answer in the making
	close     bool
	expect    bool // the client waits for "100 Continue"
	chunked   bool
	inChunk   bool
	left      int64 // of the body, or of the chunk: not yet read
	size      int64 // of the body as far as known
	done      bool  // nothing of the body is left

	trailerError string // of a streamed answer that failed half way
	trailerBody  []byte
}

// readHead reads the head of the next request. io.EOF before its first byte is the orderly end.
func (q *request) readHead(r *bufio.Reader) error {
	*q = request{method: q.method[:0], path: q.path[:0], errorType: q.errorType[:0], kind: q.kind[:0]}
	line, err := readLine(r)
	if err != nil {
		return err
	}
	if err := q.parseLine(line); err != nil {
		return err
	}
	length, total := int64(-1), len(line)
	for n := 0; ; n++ {
		line, skipped, err := readHeader(r)
		if err != nil {
			return err
		}
		if total += len(line) + skipped; total > maxHead || n > maxHeaders {
			return malformed{431, "request head too large"}
		}
		if len(line) == 0 {
			break
		}
		if skipped > 0 {
			continue // too long to be one that matters
		}
		if err := q.header(line, &length); err != nil {
			return err
		}
	}
	return q.startBody(length)
}

func (q *request) parseLine(line []byte) error {
	method, rest, ok := bytes.Cut(line, []byte{' '})
	target, version, ok2 := bytes.Cut(rest, []byte{' '})
	if !ok || !ok2 || len(method) == 0 || len(method) > 16 || len(target) > maxTarget || !bytes.HasPrefix(version, []byte("HTTP/1.")) {
		return malformed{400, "malformed request line"}
	}
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		target = target[:i]
	}
	q.method, q.path = append(q.method, method...), append(q.path, target...)
	q.close = len(version) != len("HTTP/1.1") || version[len(version)-1] == '0'
	return nil
}

func (q *request) header(line []byte, length *int64) error {
	name, value, ok := bytes.Cut(line, []byte{':'})
	if !ok || len(name) == 0 || name[len(name)-1] == ' ' || name[0] == ' ' || name[0] == '\t' {
		return malformed{400, "malformed header"}
	}
	value = bytes.TrimSpace(value)
	switch len(name) { // most headers are told apart by length alone
	case len("content-length"):
		if !is(name, "content-length") {
			return nil
		}
		n, err := strconv.ParseUint(string(value), 10, 62)
		if err != nil || *length >= 0 && *length != int64(n) {
			return malformed{400, "malformed content length"}
		}
		*length = int64(n)
	case len("transfer-encoding"):
		if !is(name, "transfer-encoding") {
			return nil
		}
		if !is(value, "chunked") || q.chunked {
			return malformed{501, "unsupported transfer encoding"}
		}
		q.chunked = true
	case len("expect"):
		if is(name, "expect") && is(value, "100-continue") {
			q.expect = true
		}
	case len("connection"):
		if is(name, "connection") && is(value, "close") {
			q.close = true
		}
	case len("content-type"):
		if is(name, "content-type") && len(value) <= 256 {
			q.kind = append(q.kind[:0], value...)
		}
	case len(headerMode):
		if is(name, headerMode) {
			q.streaming = is(value, "streaming")
		}
	case len(headerErrorType):
		if is(name, headerErrorType) && len(value) <= 256 {
			q.errorType = append(q.errorType[:0], value...)
		}
	}
	return nil
}

const (
	headerMode      = "lambda-runtime-function-response-mode"
	headerErrorType = "lambda-runtime-function-error-type"
	headerErrorBody = "lambda-runtime-function-error-body"
)

func (q *request) startBody(length int64) error {
	if q.chunked && length >= 0 {
		return malformed{400, "both a content length and a transfer encoding"}
	}
	q.size, q.left = max(length, 0), max(length, 0)
	q.done = !q.chunked && q.left == 0
	return nil
}

// readBody reads the body into fresh memory. errTooLarge leaves the rest to discard; size says how large it is
// as far as is known.
func (q *request) readBody(r *bufio.Reader, limit int64) ([]byte, error) {
	if !q.chunked {
		if q.size > limit {
			return nil, errTooLarge
		}
		body := make([]byte, q.size)
		_, err := io.ReadFull(r, body)
		q.left, q.done = 0, true
		return body, err
	}
	var body []byte
	for {
		if err := q.nextChunk(r); err != nil || q.done {
			return body, err
		}
		if int64(len(body))+q.left > limit {
			return nil, errTooLarge
		}
		n := len(body)
		body = append(body, make([]byte, q.left)...)
		if _, err := io.ReadFull(r, body[n:]); err != nil {
			return nil, err
		}
		q.size, q.left = q.size+q.left, 0
	}
}

// copyBody hands the body on as it arrives, up to limit bytes. Where to does not take it, it is read all the same.
func (q *request) copyBody(r *bufio.Reader, to io.Writer, limit int64) error {
	buf := make([]byte, streamBuffer)
	for total := int64(0); ; {
		if q.chunked && q.left == 0 {
			if err := q.nextChunk(r); err != nil {
				return err
			}
		}
		if q.left == 0 {
			q.done = true
			return nil
		}
		n, err := r.Read(buf[:min(q.left, streamBuffer)])
		q.left -= int64(n)
		if total += int64(n); total > limit {
			q.size = total
			return errTooLarge
		}
		if _, failed := to.Write(buf[:n]); failed != nil {
			to = io.Discard
		}
		if err != nil {
			return err
		}
	}
}

// discard reads over what is left of the body, at most limit bytes.
func (q *request) discard(r *bufio.Reader, limit int64) error {
	for !q.done {
		if q.chunked && q.left == 0 {
			if err := q.nextChunk(r); err != nil || q.done {
				return err
			}
		}
		if limit -= q.left; limit < 0 {
			return errTooLarge
		}
		if _, err := io.CopyN(io.Discard, r, q.left); err != nil {
			return err
		}
		q.left = 0
		q.done = !q.chunked
	}
	return nil
}

// nextChunk reads up to the data of the next chunk; done is set when there is none. After errTooLarge it is
// asked again, and left is not yet used up: then it has nothing to do.
func (q *request) nextChunk(r *bufio.Reader) error {
	if q.left > 0 {
		return nil
	}
	if q.inChunk {
		if line, err := readLine(r); err != nil || len(line) != 0 {
			return cmp.Or(err, error(malformed{400, "malformed chunk"}))
		}
	}
	line, err := readLine(r)
	if err != nil {
		return err
	}
	if i := bytes.IndexByte(line, ';'); i >= 0 {
		line = line[:i]
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(line)), 16, 32)
	if err != nil {
		return malformed{400, "malformed chunk size"}
	}
	q.inChunk, q.left = true, int64(n)
	if n > 0 {
		return nil
	}
	q.done = true
	return q.trailers(r)
}

func (q *request) trailers(r *bufio.Reader) error {
	for range maxHeaders {
		line, skipped, err := readHeader(r)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		name, value, _ := bytes.Cut(line, []byte{':'})
		value = bytes.TrimSpace(value)
		switch {
		case skipped > 0:
		case is(name, headerErrorType):
			q.trailerError = string(value)
		case is(name, headerErrorBody):
			q.trailerBody, _ = base64.StdEncoding.DecodeString(string(value))
		}
	}
	return malformed{431, "too many trailers"}
}

// readLine reads a line that must fit the buffer, without its end. It is valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		return nil, malformed{431, "line too long"}
	}
	if err != nil {
		if err == io.EOF && len(line) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return trimEnd(line), nil
}

// readHeader reads a header line; of one that does not fit the buffer it gives the end, and says how much it
// left out.
func readHeader(r *bufio.Reader) (line []byte, skipped int, err error) {
	for {
		line, err = r.ReadSlice('\n')
		if err == nil {
			if skipped > 0 && len(trimEnd(line)) == 0 {
				return []byte{'.'}, skipped, nil // not the empty line that ends the head
			}
			return trimEnd(line), skipped, nil
		}
		if err != bufio.ErrBufferFull {
			return nil, 0, err
		}
		if skipped += len(line); skipped > maxHead {
			return nil, 0, malformed{431, "header too large"}
		}
	}
}

func trimEnd(line []byte) []byte {
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// is compares without regard to case; want is in lower case.
func is(got []byte, want string) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range len(want) {
		b := got[i]
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		if b != want[i] {
			return false
		}
	}
	return true
}
