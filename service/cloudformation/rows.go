package cloudformation

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

// identity is who started an operation, kept so that a restarted engine goes on with the same permissions.
type identity struct {
	Account, Region, ARN, UserID, RoleARN string
	Root                                  bool
}

func identityOf(c cloud.Caller) identity {
	return identity{c.Account, c.Region, c.ARN, c.UserID, c.RoleARN, c.Root}
}

// caller is the identity as another service sees it.
func (i identity) caller(requestID string, now time.Time) cloud.Caller {
	return cloud.Caller{Account: i.Account, Region: i.Region, ARN: i.ARN, UserID: i.UserID, RoleARN: i.RoleARN, Root: i.Root,
		Via: principal, RequestID: requestID, Secure: true, SourceIP: principal, UserAgent: principal, Now: now}
}

const principal = "cloudformation.amazonaws.com"

// target is what a stack is to look like: everything that a caller of CreateStack or UpdateStack says.
type target struct {
	Template     string // hash of the text, see templateKey
	Description  string
	Parameters   map[string]string // as given or by default
	Resolved     map[string]string // values of parameters that name SSM parameters
	Masked       []string          // NoEcho parameters
	Tags         map[string]string
	Capabilities []string
	RoleARN      string
	Rollback     *RollbackConfiguration
}

type stackRow struct {
	Account, Region, ID, Name string
	Status, Reason            string
	Created                   time.Time
	Updated, Deleted          *time.Time
	Current                   target
	Outputs                   []outputRow
	Imports                   []string // names of the exports in use
	ChangeSet                 string   // ARN of the last one executed
	DisableRollback           bool
	RetainExceptOnCreate      bool
	Timeout                   int32
	Tokens                    []string   // the last client request tokens, newest last
	Op                        *operation // what is going on
	Suspended                 *operation // a failed operation that may be rolled back, or gone on from, later
	DoNothing                 bool       // created with OnFailure DO_NOTHING: a failure can not be gone on from
}

type outputRow struct{ Key, Value, Description, Export string }

// The kinds of operation.
const (
	opCreate = "create"
	opUpdate = "update"
	opDelete = "delete"
)

// The phases of an operation; every operation goes through some of them, in this order.
const (
	phaseForward = "forward" // make what the target says
	phaseSettle  = "settle"  // stop at a failure: put back only what failed
	phaseRevert  = "revert"  // put back what was
	phaseCleanup = "cleanup" // delete what is no longer needed
	phaseDelete  = "delete"  // delete everything
)

// operation is the journal's head: which way the stack is going and how far it is.
type operation struct {
	ID, Kind, Phase string
	Target          target
	Identity        identity
	Token           string
	Started         time.Time
	Failed          string   // why it goes back, "" while it does not
	After           []string // the failed operations without rollback that it goes on from
	Unborn          bool     // the first of them was the stack's creation
	Back            bool     // in phaseCleanup: cleaning up after a rollback
	OnFailure       string   // ROLLBACK, DELETE or DO_NOTHING
	Retain          []string
	Skip            []string
	DropRetained    bool   // RetainExceptOnCreate of the call
	Policy          string // stack policy during this update
	ChangeSet       string // ARN of the change set that it executes
	Outputs         []outputRow
	Imports         []string
	Force           bool // DeletionMode FORCE_DELETE_STACK: what cannot be deleted is left
}

// settingsRow is what may change at any time, so the engine never writes it.
type settingsRow struct {
	Protected bool
	Policy    string
}

// signalRow asks the running engine for something.
type signalRow struct {
	Cancel bool
	Delete *operation // delete the stack instead of creating it further
}

type runningRow struct {
	Node  string
	Fence uint64
	Until time.Time
}

type exportRow struct{ Stack, Value string }
type importRow struct{ StackName string }

// resourceRow is one logical id of a stack: what stands for it, what stood before and what is to go.
type resourceRow struct {
	ID, Type, Description string
	Status, Reason        string
	Updated               time.Time
	Cur                   *physical // nil when nothing stands for the id
	Old                   *physical // while Op lasts: what stood for it when the stack was last whole
	Was                   *physical // while Op lasts: what it is changed from, where an operation before Op made that of Old
	Garbage               []physical
	Op                    string // the operation that touched the row last
	Step                  string
}

// The steps of a resource within an operation. Each is written before the calls that it stands for, and
// followed by done or failed after them: a row found in one of the first three was interrupted there.
const (
	stepCreating = "creating"
	stepUpdating = "updating"
	stepUndoing  = "undoing"
	stepDeleting = "deleting"
	stepDone     = "done"
	stepSame     = "same" // looked at; nothing to call
	stepFailed   = "failed"
	stepUndone   = "undone"
)

// physical is one thing in another service that stands, or stood, for a resource.
type physical struct {
	Type        string
	ID          string // physical id, "" until it is known that it exists
	Name        string // name reserved for it, chosen before it was made
	Expected    string // the id that it will have, where that is known before it is made
	Uncertain   bool   // a call that makes it was begun and its answer is not known
	Properties  map[string]any
	Torn        map[string]any    // properties of a change that failed and could not be taken back
	Tags        map[string]string // of the stack
	Attributes  map[string]any    // what Fn::GetAtt may ask for
	Notes       map[string]any    // what its type wrote down before making it
	DependsOn   []string
	Deletion    string // policies
	Replacement string
	Metadata    any
	Gone        bool // deleted, or left alone for good
}

// from is what the operation finds and changes, nil when there is nothing.
func (r *resourceRow) from() *physical {
	if r.Was != nil {
		return r.Was
	}
	return r.Old
}

// unmade tells whether all that stands for the row is a creation that failed.
func (r *resourceRow) unmade() bool {
	return r.Step == stepFailed && r.Cur != nil && r.from() == nil
}

// seen returns the properties as an update to next must take them: of those that are one of two values,
// nobody knows which, it gives one that differs from the next.
func (p *physical) seen(next map[string]any) map[string]any {
	if p.Torn == nil {
		return p.Properties
	}
	out := maps.Clone(p.Properties)
	for _, k := range changed(p.Properties, p.Torn) {
		if !slices.Contains(changed(map[string]any{k: p.Properties[k]}, map[string]any{k: next[k]}), k) {
			out[k] = p.Torn[k]
		}
	}
	return out
}

// putRow stores v as a row, compressed when it is large: properties may hold a whole program.
func putRow(tx *kv.Tx, key []byte, v any) error {
	value, err := encodeRow(v)
	if err != nil {
		return err
	}
	tx.Set(key, value)
	return nil
}

func encodeRow(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode row: %w", err)
	}
	if len(b) < 32<<10 {
		return append([]byte{rowPlain}, b...), nil
	}
	z, err := compress(b)
	return append([]byte{rowGzip}, z...), err
}

// The first byte of a row: the version of its format. 1 is kv's own.
const (
	rowPlain = 1
	rowGzip  = 2
)

// decodeRow reads a row. Numbers inside properties stay as they were written.
func decodeRow(b []byte, v any) error {
	if len(b) == 0 || b[0] != rowPlain && b[0] != rowGzip {
		return fmt.Errorf("%w: %.1x", kv.ErrRowFormat, b)
	}
	text := b[1:]
	if b[0] == rowGzip {
		var err error
		if text, err = decompress(text); err != nil {
			return err
		}
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		return fmt.Errorf("decode row: %w", err)
	}
	return nil
}

func getRow(ctx context.Context, r kv.Reader, key []byte, v any) (bool, error) {
	b, err := r.Get(ctx, key)
	if err != nil || b == nil {
		return false, err
	}
	return true, decodeRow(b, v)
}

func compress(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		return nil, fmt.Errorf("compress row: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress row: %w", err)
	}
	return out.Bytes(), nil
}

// errRowSize says that a compressed row is larger than anything that is stored.
var errRowSize = errors.New("cloudformation: row too large")

func decompress(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("decompress row: %w", err)
	}
	const most = 64 << 20
	out, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, fmt.Errorf("decompress row: %w", err)
	}
	if len(out) > most {
		return nil, errRowSize
	}
	return out, nil
}
