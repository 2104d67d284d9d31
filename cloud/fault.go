package cloud

import (
	"errors"
	"fmt"
)

// Fault is the one kind of error that may be shown to a stranger. A service returns it where a rule is
// broken; the gateway writes it in the caller's protocol. Every other error is ours: it is logged and
// the client sees an internal failure only.
type Fault struct {
	Code    string // the error's name in the API model, e.g. "ResourceNotFoundException"
	Message string
	Status  int   // HTTP status; 0 takes the model's, and 400 where the model has none
	Detail  any   // pointer to the generated struct of the error's shape, for members beyond the message; may be nil
	Cause   error // why, for the log; never shown
}

// Faultf makes a Fault with a formatted message and the model's status.
func Faultf(code, format string, args ...any) *Fault {
	return &Fault{Code: code, Message: fmt.Sprintf(format, args...)}
}

// NotImplemented is the loud answer to what AWS can do and this cloud cannot yet: what begins the sentence.
func NotImplemented(what string) *Fault {
	return &Fault{Code: "NotImplemented", Message: what + " is not implemented.", Status: 501}
}

// Error implements error.
func (f *Fault) Error() string {
	if f.Cause != nil {
		return f.Code + ": " + f.Message + ": " + f.Cause.Error()
	}
	return f.Code + ": " + f.Message
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Cause }

// WithStatus returns a copy of f with another HTTP status.
func (f *Fault) WithStatus(status int) *Fault {
	g := *f
	g.Status = status
	return &g
}

// FaultCode returns the code of the Fault in err's chain, or "" when there is none.
func FaultCode(err error) string {
	var f *Fault
	if errors.As(err, &f) {
		return f.Code
	}
	return ""
}
