// Package driver is the small interface under sandbox.Pool: a way to run one process tree behind walls.
//
// A driver starts sandboxes and tells which walls and limits the host really gives. What is common to all
// ways of isolation (warm pools, stem cells, freezing on idle, bounds) stands once, in package sandbox.
// Every driver sits the exam in sandbox/sandboxtest.
package driver

import (
	"context"
	"errors"
	"io"
	"net"
)

// ErrUnsupported is returned by what this driver cannot do on this host: Mount without root, Freeze without
// a freezer. Callers take the longer way round (a fresh sandbox, no freezing); it is never fatal.
var ErrUnsupported = errors.New("sandbox: not supported on this host")

// ErrClosed is returned by calls on a driver or sandbox that has ended.
var ErrClosed = errors.New("sandbox: closed")

// Driver starts sandboxes. Its methods may be called from several goroutines.
type Driver interface {
	// Start runs Argv behind walls and returns when the process has been started and the listeners are open.
	// When it returns an error nothing is left behind. The sandbox outlives ctx: end it with Kill.
	Start(ctx context.Context, spec Spec) (Sandbox, error)

	// Report says what this host gives. It is constant for the driver's life.
	Report() Report

	// Close kills what is left and releases what the driver holds. Start fails afterwards.
	Close() error
}

// Spec describes a sandbox: what it sees, what it runs, what it may use.
type Spec struct {
	// ID names the sandbox in cgroups and logs: letters, digits, '-'; unique in the driver. Empty: the driver makes one.
	ID string

	// Mounts are made read-only, nosuid and nodev, in order; a directory or a file. Nothing else of the host is
	// seen. Targets are made as needed. /tmp, /proc and /dev are the driver's own.
	Mounts []Mount
	// Dirs are empty directories to make in the root, such as the targets of a later Sandbox.Mount.
	Dirs []string
	// Links are symbolic links to make in the root: path → target (e.g. /bin → usr/bin).
	Links map[string]string
	// Files are small read-only files to make in the root: path → content (e.g. /etc/passwd).
	Files map[string][]byte

	Argv []string // Argv[0] is an absolute path inside the sandbox
	Env  []string // the whole environment, "K=V"
	Dir  string   // working directory inside; "" means "/"
	Host string   // host name seen inside; "" means "localhost"

	Limits

	// TmpBytes is the size of /tmp; 0 means 512 MiB. What lies in /tmp does not count against MemoryBytes
	// where the host lets the driver tell them apart (see Report).
	TmpBytes int64

	// Stdout, Stderr and Log take what the processes write; nil discards. They may be the same writer: they are
	// called one at a time, and never after Kill has returned. A writer that blocks holds the function up: bound it.
	Stdout, Stderr io.Writer
	// Log, when not nil, takes what is written to descriptor 3, the framed log of AWS's runtime clients
	// (_LAMBDA_TELEMETRY_LOG_FD=3). Without it descriptor 3 is not open.
	Log io.Writer

	// RuntimeAPIAddr is where Sandbox.Listener listens inside the sandbox's own network, an address on
	// loopback; "" means "127.0.0.1:9001".
	RuntimeAPIAddr string
	// Ports are further addresses on the sandbox's loopback that the host answers: the cloud's own endpoint.
	Ports []Port
}

// LogFD is the descriptor inside the sandbox that Spec.Log reads.
const LogFD = 3

// DefaultRuntimeAPIAddr is where a sandbox finds its Runtime API unless the Spec says otherwise.
const DefaultRuntimeAPIAddr = "127.0.0.1:9001"

// DefaultTmpBytes is the size of /tmp unless the Spec says otherwise.
const DefaultTmpBytes = 512 << 20

// Mount shows the host's Source at Target inside, read-only.
type Mount struct{ Source, Target string }

// Port is an address on the sandbox's loopback whose connections the host serves.
type Port struct {
	Addr string // e.g. "127.0.0.1:4566"
	// Serve owns the connection and returns when it is done with it. The driver bounds the number of
	// connections at a time and closes them all in Kill, which waits for Serve to return.
	Serve func(net.Conn)
}

// Limits bound what a sandbox uses. Zero means the driver's default, negative means none.
type Limits struct {
	MemoryBytes int64   // default 128 MiB
	CPUQuota    float64 // in CPUs: 0.5 is half of one; default none
	PIDs        int64   // processes and threads; default 1024
}

// Sandbox is one running process tree behind walls.
type Sandbox interface {
	// ID is the Spec's, or the one the driver made.
	ID() string

	// Listener is open inside the sandbox's network at Spec.RuntimeAPIAddr. Kill closes it.
	Listener() net.Listener

	// Mount shows hostDir at target in the live sandbox, read-only. The target exists: see Spec.Dirs.
	Mount(hostDir, target string) error

	// Resize changes limits while the sandbox lives; zero fields are left as they are.
	Resize(Limits) error

	// Freeze stops every process where it stands, Thaw lets it go on. Both return when it is done.
	Freeze() error
	Thaw() error

	// Reclaim asks the kernel to put the memory of a frozen sandbox aside. It comes back as it is touched.
	Reclaim() error

	// MaxMemory is the most memory used so far, in bytes; 0 when the host cannot tell.
	MaxMemory() int64

	// Done is closed when the sandbox's main process has ended and nothing of the sandbox runs any more.
	Done() <-chan struct{}

	// Exit tells how the main process ended. It is valid after Done.
	Exit() Exit

	// Kill ends everything in the sandbox and frees its cgroups, mounts and network; it returns when that is
	// so. It may be called more than once and at any time.
	Kill()
}

// Exit says how a sandbox's main process ended.
type Exit struct {
	Code   int  // exit status, -1 when a signal ended it
	Signal int  // the signal, or 0
	OOM    bool // it ran into its memory limit
	Killed bool // Kill ended it
}

// Report says which walls and limits this host gives a driver.
type Report struct {
	Driver string // "process"
	Walls  []Wall

	LiveMount bool // Sandbox.Mount works: stem cells are possible
	Freeze    bool // Freeze and Thaw work
	Reclaim   bool // Reclaim works
}

// Wall is one named protection or limit.
type Wall struct {
	Name   string // e.g. "network namespace", "memory limit"
	OK     bool
	Detail string // how it is made, or what failed
	Remedy string // how to get it, when it is missing
	Must   bool   // without it strangers' code must not run here
}

// Missing returns the walls that this host does not give.
func (r Report) Missing() []Wall {
	var w []Wall
	for _, x := range r.Walls {
		if !x.OK {
			w = append(w, x)
		}
	}
	return w
}
