package invoke

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"lambent/blob"
	"lambent/sandbox/driver"
)

// A Function is one version of a function, with all that is needed to run it. It is immutable: a change of the
// function is another Function with another Revision.
type Function struct {
	Account, Region string
	Name            string
	Version         string // "$LATEST" or a number
	ARN             string // without qualifier
	Revision        string // moves with every change after which no sandbox of before may be used

	Runtime string
	Handler string
	Code    blob.Ref
	Layers  []blob.Ref // below /opt, a later one over the earlier ones

	Memory  int // MB
	Tmp     int // MB of /tmp
	Timeout time.Duration
	Env     map[string]string
	RoleARN string

	LogGroup       string
	JSONLogs       bool   // platform lines as JSON records
	AppLogLevel    string // for the runtime's own logger, with JSONLogs
	SystemLogLevel string // "DEBUG", "INFO" or "WARN"; "" is INFO

	// Reserved bounds how many invocations of the function, all versions together, run at a time; nil means that it
	// shares what the account has left, Unreserved.
	Reserved   *int
	Unreserved int

	// Provisioned is how many invocations of this version have a place of their own. ProvisionedAll is the sum over all
	// versions, a part of what is Reserved.
	Provisioned, ProvisionedAll int
}

// key names what may share a warm sandbox.
func (f *Function) key() string {
	return f.Account + "/" + f.Region + "/" + f.Name + "/" + f.Version + "/" + f.Revision
}

// DefaultConcurrency is how many invocations an account may have under way in a region, as on AWS.
const DefaultConcurrency = 1000

// cpus is the share of processors that the memory size buys: a whole one for every 1,769 MB, at most six, as on AWS.
// Below that size a function may use one whole processor while nobody else wants it: AWS boosts the start of
// small functions in the same spirit, and a machine of one's own has no neighbour to be fair to.
func (f *Function) cpus() float64 {
	return min(max(float64(f.Memory)/1769, 1), 6)
}

func (f *Function) limits() driver.Limits {
	return driver.Limits{MemoryBytes: int64(f.Memory) << 20, CPUQuota: f.cpus()}
}

// RuntimeVersionARN names the build of a runtime that runs here. There is one for each runtime and region.
func RuntimeVersionARN(region, runtime string) string {
	sum := sha256.Sum256([]byte("lambent:" + runtime))
	return "arn:aws:lambda:" + region + "::runtime:" + hex.EncodeToString(sum[:])
}

// runtimeVersion is how INIT_START writes a runtime: "nodejs20.x" is "nodejs:20.v1".
func runtimeVersion(runtime string) string {
	name := strings.TrimRight(strings.TrimSuffix(runtime, ".x"), "0123456789.")
	version := strings.TrimSuffix(strings.TrimPrefix(runtime, name), ".x")
	if version == "" {
		return runtime + ".v1"
	}
	return name + ":" + version + ".v1"
}
