package invoke

import (
	"net"
	"time"
)

// A Talk is the conversation with one sandbox, over its whole life, as its kind of runtime expects it:
// Lambda's Runtime API, OpenWhisk's action loop. One invocation is under way at a time. Its methods may be
// called from any goroutine.
type Talk interface {
	// Serve accepts connections of the sandbox until the listener is closed; then it ends them and returns.
	Serve(net.Listener)

	// Assign gives a stem cell its function: body is the answer to the poll it waits in, or will
	// wait in. It does not wait for it. It may be called once.
	Assign(body []byte) error

	// Send hands over an invocation: at once when the runtime asks for one already, else as soon as it
	// asks. The answer arrives as an Event.
	Send(*Invocation) error

	// Withdraw takes back what Send gave, if the runtime has not asked for it.
	Withdraw() bool

	// Events tells what the runtime said. It is never closed; after Serve has returned nothing more arrives.
	Events() <-chan Event
}

// An Invocation is one event on its way into a sandbox.
type Invocation struct {
	RequestID       string
	TraceID         string
	ARN             string // the function as the client named it, alias or version included
	Deadline        time.Time
	ClientContext   string // JSON, "" when none
	CognitoIdentity string // JSON, "" when none
	Payload         []byte

	// Sink takes the answer of a handler that streams, while it is made; nil has it whole in the Event.
	Sink Sink
}

// A Sink takes an answer as it comes. A Write that fails ends nothing: what follows is thrown away, and the function goes
// on. It must not wait any longer once the call has ended.
type Sink interface {
	// Begin is called before the first Write, with the content type that the runtime gave, "" for none. A runtime whose
	// connection breaks may begin again.
	Begin(contentType string)
	Write(p []byte) (int, error)
}

// EventKind says what an Event is about.
type EventKind uint8

// What a runtime can say.
const (
	StemReady  EventKind = iota + 1 // a stem cell waits for its assignment
	Ready                           // the handler is loaded: the first invocation is asked for
	InitFailed                      // the handler could not be loaded; Payload is the error document
	Answered                        // the handler returned Payload
	Failed                          // the handler failed; Payload is the error document
	TooLarge                        // the handler's answer is larger than is allowed; Size says how large
)

// An Event is one thing that the runtime said.
type Event struct {
	Kind      EventKind
	RequestID string
	Payload   []byte
	ErrorType string // as the runtime's header says, may be ""
	Size      int64
	Streamed  bool // the answer, as far as there was one, went to the invocation's Sink
}

// MaxResponse is the largest payload that a function may answer with: 6 MB and 100 bytes.
const MaxResponse = 6*1024*1024 + 100

// MaxStream is the largest answer that a function may stream: 20 MB.
const MaxStream = 20 * 1024 * 1024
