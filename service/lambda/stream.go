package lambda

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"sync"

	"lambent/cloud"
	"lambent/invoke"
)

// A stream is the answer of a function, read while it is made. It is an invoke.Sink on the function's side.
type stream struct {
	*io.PipeReader
	w      *io.PipeWriter
	cancel context.CancelFunc

	once        sync.Once
	begun       chan struct{} // closed when the function begins to answer bit by bit
	contentType string        // of that answer; valid after begun

	done chan struct{}  // closed when the call has ended
	res  *invoke.Result // valid after done, as is err
	err  error
}

// Begin implements invoke.Sink. A runtime whose connection broke may begin again.
func (t *stream) Begin(contentType string) {
	t.once.Do(func() {
		t.contentType = contentType
		close(t.begun)
	})
}

// Write implements invoke.Sink.
func (t *stream) Write(p []byte) (int, error) { return t.w.Write(p) }

// close gives the rest of the answer up. The function goes on without its caller.
func (t *stream) close() {
	t.cancel()
	t.PipeReader.Close()
	<-t.done
}

// streaming tells whether the answer came, or comes, bit by bit. It is known once open has returned the stream.
func (t *stream) streaming() bool {
	select {
	case <-t.begun:
		return true
	default:
		return false
	}
}

// open runs a function and returns when it begins to answer, or has ended. The stream is the caller's to close.
func (s *Service) open(ctx context.Context, c cloud.Caller, r reference, at *target, payload []byte, clientContext string, tail bool) (*stream, error) {
	t := &stream{begun: make(chan struct{}), done: make(chan struct{})}
	t.PipeReader, t.w = io.Pipe()
	ctx, t.cancel = context.WithCancel(ctx)
	go func() {
		defer close(t.done)
		defer t.w.Close()
		t.res, t.err = s.callInto(ctx, c, r, at, payload, clientContext, tail, t)
	}()
	select {
	case <-t.begun:
	case <-t.done:
		if t.err != nil && !t.streaming() {
			t.close()
			return nil, t.err
		}
	}
	return t, nil
}

func (s *Service) invokeWithStream(ctx context.Context, c cloud.Caller, in *InvokeWithResponseStreamInput) (*InvokeWithResponseStreamOutput, error) {
	r, err := parseName(c, *in.FunctionName, cloud.Val(in.Qualifier))
	if err != nil {
		return nil, err
	}
	if in.TenantId != nil {
		return nil, cloud.NotImplemented("TenantId")
	}
	clientContext, err := decodeClientContext(cloud.Val(in.ClientContext))
	if err != nil {
		return nil, err
	}
	payload, err := checkPayload(in.Payload, false)
	if err != nil {
		return nil, err
	}
	at, err := s.authorize(ctx, c, r, "lambda:InvokeFunction")
	if err != nil {
		return nil, err
	}
	if cloud.Val(in.InvocationType) == "DryRun" {
		return &InvokeWithResponseStreamOutput{StatusCode: new(int32(204))}, nil
	}
	tail := cloud.Val(in.LogType) == "Tail"
	t, err := s.open(ctx, c, r, at, payload, clientContext, tail)
	if err != nil {
		return nil, err
	}
	return &InvokeWithResponseStreamOutput{StatusCode: new(int32(200)), ExecutedVersion: new(at.executed),
		EventStream: func(yield func(*InvokeWithResponseStreamResponseEvent, error) bool) { t.events(yield, tail) }}, nil
}

// events yields the answer as it comes, and how it ended.
func (t *stream) events(yield func(*InvokeWithResponseStreamResponseEvent, error) bool, tail bool) {
	defer t.close()
	buf := make([]byte, 32<<10)
	for {
		n, err := t.Read(buf)
		if n > 0 && !yield(payloadChunk(buf[:n]), nil) {
			return
		}
		if err != nil {
			break // io.EOF: the call has ended
		}
	}
	<-t.done
	if t.err != nil {
		yield(nil, t.err)
		return
	}
	if !t.streaming() && t.res.FunctionError == "" && len(t.res.Payload) > 0 && !yield(payloadChunk(t.res.Payload), nil) {
		return
	}
	end := &InvokeWithResponseStreamCompleteEvent{}
	if t.res.FunctionError != "" {
		end.ErrorCode, end.ErrorDetails = new(t.res.FunctionError), new(string(t.res.Payload))
	}
	if tail {
		end.LogResult = new(base64.StdEncoding.EncodeToString(t.res.LogTail))
	}
	yield(&InvokeWithResponseStreamResponseEvent{InvokeComplete: end}, nil)
}

func payloadChunk(p []byte) *InvokeWithResponseStreamResponseEvent {
	return &InvokeWithResponseStreamResponseEvent{PayloadChunk: &InvokeResponseStreamUpdate{Payload: p}}
}

// errCutOff ends an answer that the function did not finish.
var errCutOff = errors.New("lambda: the function failed in the midst of its answer")

// outcome is nil when the answer was finished. It waits for the end of the call.
func (t *stream) outcome() error {
	<-t.done
	if t.err == nil && t.res.FunctionError != "" {
		return errCutOff
	}
	return t.err
}
