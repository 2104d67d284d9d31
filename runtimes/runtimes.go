// Package runtimes says what a language runtime is: its names, where its files are on this host, the root file
// system that a function sees, and how it is started.
//
// Each folder below is one runtime (nodejs, python, provided); app lists them and makes a Set.
//
// # What a function sees
//
// A read-only root made of bind mounts of exactly what its interpreter needs, a small /etc of our own,
// /var/task (its code), /opt (its layers), /var/runtime (our bootstrap), and a /tmp of its own.
//
// # The talk of a stem cell
//
// A stem cell is the interpreter with our bootstrap loaded and no function. It is started with
// LAMBENT_STEM=1 in its environment and asks once, on the Runtime API listener:
//
//	GET /lambent/stem/next HTTP/1.1
//
// The answer waits until the sandbox is to become a function: 200 with Content-Type application/json,
// a Content-Length, and the body that Plan.Assignment holds, no more than 1 MiB:
//
//	{"env": {"_HANDLER": "index.handler", "LAMBDA_TASK_ROOT": "/var/task", …}}
//
// The code has been mounted before the answer is sent. The bootstrap takes env as its whole environment, enters
// LAMBDA_TASK_ROOT, loads _HANDLER, and goes on as any runtime: GET /2018-06-01/runtime/invocation/next on the
// same connection, or POST /2018-06-01/runtime/init/error. A stem cell that is never asked is killed.
//
// The bootstraps pipeline: they send POST …/response (or …/error) and the next GET …/next in one write. A server reads the
// requests of a connection one after the other, and need not know.
//
// # Log records
//
// Bootstraps write one frame per record (console.log, logging, print) to descriptor 3, in the framing of AWS's
// own runtime clients (environment variable _LAMBDA_TELEMETRY_LOG_FD); see Frames. What the function or
// its children write to stdout and stderr themselves is raw bytes, one record a line.
package runtimes

import (
	"lambent/sandbox/driver"
)

// Runtime is one family of language runtimes on this host.
type Runtime interface {
	// Names are AWS's identifiers that this family answers for, oldest first ("nodejs18.x", "nodejs20.x").
	Names() []string
	// Installed tells which versions the host has.
	Installed() []Version
	// Plan says how to start fn. It fails when the host has no interpreter that can run it.
	Plan(fn Function) (Plan, error)
}

// Version is one interpreter found on this host.
type Version struct {
	Name    string // the runtime identifier it stands for: "nodejs20.x"
	Version string // its own: "20.20.2"
	Path    string // interpreter on the host
}

// Function is what a runtime must know about a function to start it.
type Function struct {
	Runtime  string            // identifier as the user wrote it
	Handler  string            // as the user wrote it
	CodeDir  string            // host folder with the unpacked code, readable by everyone
	OptDir   string            // host folder with the layers, unpacked over one another in their order; "" without layers
	Env      map[string]string // the user's variables and the platform's (AWS_REGION, AWS_LAMBDA_FUNCTION_NAME, credentials, …)
	Limits   driver.Limits
	TmpBytes int64
	Ports    []driver.Port // what the function may reach on its loopback
}

// Plan says how a function is started on this host.
type Plan struct {
	Runtime string // the identifier that really runs
	Notice  string // "" or one line for the function's log: it runs on another version than it named

	Spec driver.Spec // the plain path; outputs are not set

	Stem       string         // "" or the name of the stem cells that can become this function
	StemSpec   driver.Spec    // how to start such a stem cell; the same for all plans with this Stem
	StemMounts []driver.Mount // what to mount into the stem cell
	Assignment []byte         // the body to answer its GET /lambent/stem/next with
}
