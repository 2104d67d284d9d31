package invoke

import (
	"encoding/json"
	"fmt"
	"time"

	"lambent/sandbox/driver"
)

// An outcome is how one invocation ended.
type outcome struct {
	payload   []byte
	failed    bool   // the payload is an error document
	status    string // of the REPORT line: "", "timeout", "error"
	errorType string // of the REPORT line, with status "error"
	line      string // what the log says of it, "" for nothing
	broken    bool   // the sandbox must not be used again
}

type errorDocument struct {
	ErrorType    string `json:"errorType,omitempty"`
	ErrorMessage string `json:"errorMessage"`
}

func document(kind, message string) []byte {
	b, _ := json.Marshal(errorDocument{kind, message})
	return b
}

func answered(e Event) outcome { return outcome{payload: e.Payload} }

func failed(e Event) outcome {
	if len(e.Payload) == 0 {
		e.Payload = document(e.ErrorType, "")
	}
	return outcome{payload: e.Payload, failed: true}
}

func tooLarge(e Event) outcome {
	const kind = "Function.ResponseSizeTooLarge"
	limit := MaxResponse
	if e.Streamed {
		limit = MaxStream
	}
	message := fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", limit)
	return outcome{payload: document(kind, message), failed: true, status: "error", errorType: kind}
}

func timedOut(requestID string, limit time.Duration, now time.Time) outcome {
	message := fmt.Sprintf("%s %s Task timed out after %.2f seconds",
		now.UTC().Format("2006-01-02T15:04:05.000Z"), requestID, limit.Seconds())
	return outcome{payload: document("", message), failed: true, status: "timeout", line: message + "\n\n", broken: true}
}

// exited is the outcome when the runtime's process ended in the midst of its work.
func exited(requestID string, exit driver.Exit) outcome {
	kind, why := "Runtime.ExitError", "Runtime exited without providing a reason"
	switch {
	case exit.OOM:
		kind, why = "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"
	case exit.Signal != 0:
		why = "Runtime exited with error: signal: " + signalName(exit.Signal)
	case exit.Code != 0:
		why = fmt.Sprintf("Runtime exited with error: exit status %d", exit.Code)
	}
	message := "RequestId: " + requestID + " Error: " + why
	return outcome{payload: document(kind, message), failed: true, status: "error", errorType: kind,
		line: message + "\n" + kind + "\n", broken: true}
}

// unstarted is the outcome when the handler could not be loaded.
func unstarted(e Event) outcome {
	kind := e.ErrorType
	if kind == "" {
		kind = "Runtime.Unknown"
	}
	o := failed(e)
	o.status, o.errorType, o.broken = "error", kind, true
	return o
}

// signalName is the kernel's name of a signal as Go and AWS write it.
func signalName(sig int) string {
	switch sig {
	case 4:
		return "illegal instruction"
	case 6:
		return "aborted"
	case 7:
		return "bus error"
	case 8:
		return "floating point exception"
	case 9:
		return "killed"
	case 11:
		return "segmentation fault"
	case 15:
		return "terminated"
	case 31:
		return "bad system call"
	}
	return fmt.Sprintf("signal %d", sig)
}
