package driver

import "context"

// Mover is what an engine gives beyond transactions, so that all of a store can be copied while it serves,
// and put into another engine.
type Mover interface {
	// Snapshot returns one state of the whole store: it holds at least all that was acknowledged before the
	// call, and nothing that a crash could take back. It may be kept open for hours, beside everything else.
	Snapshot(ctx context.Context) (Snapshot, error)
	// RaiseStamps makes every stamp that is given from now on greater than above, durably. It never makes
	// them smaller. It is for a store into which rows of another are put: no transaction runs meanwhile.
	RaiseStamps(ctx context.Context, above Stamp) error
}

// Snapshot is one state of a store. It is for one goroutine.
type Snapshot interface {
	// Scan reads a range, as Txn.Scan does. What it returns belongs to the caller.
	Scan(ctx context.Context, r Range) ([]KV, error)
	// Above returns a stamp that is greater than every stamp in the snapshot.
	Above() Stamp
	// Close gives the snapshot back.
	Close() error
}
