package lambda

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// An answer of this type begins with a prelude: the response's head as JSON, then eight zero bytes.
const (
	preludeType = "application/vnd.awslambda.http-integration-response"
	preludeEnd  = "\x00\x00\x00\x00\x00\x00\x00\x00"
	maxPrelude  = 64 << 10
)

// streamURL passes the function's answer on while it is made. What goes wrong before it begins is returned.
func streamURL(w http.ResponseWriter, t *stream, cors *Cors, origin string) error {
	head := &urlAnswer{status: 200, headers: map[string]string{"Content-Type": "application/json"}}
	if !t.streaming() {
		if err := t.outcome(); err != nil {
			return orElse(notCutOff(err), errURLFunction)
		}
		head.body = t.res.Payload // of a handler that does not stream: as it stands
		writeAnswer(w, head, cors, origin)
		return nil
	}
	kind, _, _ := strings.Cut(t.contentType, ";")
	switch {
	case strings.TrimSpace(kind) == preludeType:
		var err error
		if head, err = readPrelude(t); err != nil {
			return err
		}
	case t.contentType != "":
		head.headers["Content-Type"] = t.contentType
	}
	writeAnswer(w, head, cors, origin)
	if err := t.copyTo(w); err != nil {
		panic(http.ErrAbortHandler) // the status is sent: a cut connection is what is left to say it with
	}
	return nil
}

// notCutOff is nil for the function's own failures.
func notCutOff(err error) error {
	if errors.Is(err, errCutOff) {
		return nil
	}
	return err
}

// readPrelude reads the head of an answer, and as much of its body as came with it.
func readPrelude(t *stream) (*urlAnswer, error) {
	var got []byte
	buf := make([]byte, 4<<10)
	for {
		n, err := t.Read(buf)
		from := max(0, len(got)-len(preludeEnd)+1)
		got = append(got, buf[:n]...)
		if i := bytes.Index(got[from:], []byte(preludeEnd)); i >= 0 {
			a, err := parsePrelude(got[:from+i])
			if err == nil {
				a.body = got[from+i+len(preludeEnd):]
			}
			return a, err
		}
		if err != nil || len(got) > maxPrelude {
			return nil, errURLFunction
		}
	}
}

// parsePrelude understands the head: statusCode, headers and cookies, all of which may be left out.
func parsePrelude(text []byte) (*urlAnswer, error) {
	var prelude struct {
		StatusCode json.RawMessage            `json:"statusCode"`
		Headers    map[string]json.RawMessage `json:"headers"`
		Cookies    []string                   `json:"cookies"`
	}
	if err := json.Unmarshal(text, &prelude); err != nil {
		return nil, errURLFunction
	}
	a := &urlAnswer{status: 200, headers: map[string]string{"Content-Type": "application/octet-stream"}, cookies: prelude.Cookies}
	if prelude.StatusCode != nil {
		status, err := strconv.Atoi(strings.Trim(string(prelude.StatusCode), `"`))
		if err != nil || status < 200 || status > 599 {
			return nil, errURLFunction
		}
		a.status = status
	}
	a.setHeaders(prelude.Headers)
	return a, nil
}

// copyTo sends what the function says as soon as it says it.
func (t *stream) copyTo(w http.ResponseWriter) error {
	control := http.NewResponseController(w)
	buf := make([]byte, 32<<10)
	for {
		if err := control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return err
		}
		n, err := t.Read(buf)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return t.outcome()
		}
		if err != nil {
			return err
		}
	}
}
