package kvtest

import (
	"context"
	"sync/atomic"

	"lambent/kv/driver"
)

// Refusing returns engine, but about every second transaction is refused when it ends, as if another had changed
// what it read. Closures that change more than their own results show themselves.
func Refusing(engine driver.Engine) driver.Engine {
	r := &refusing{Engine: engine}
	if mover, ok := engine.(driver.Mover); ok {
		return struct {
			*refusing
			driver.Mover
		}{r, mover}
	}
	return r
}

type refusing struct {
	driver.Engine
	begun atomic.Uint64
}

func (e *refusing) Begin(ctx context.Context, mode driver.Mode) (driver.Txn, error) {
	txn, err := e.Engine.Begin(ctx, mode)
	if err != nil || !scattered(e.begun.Add(1)) {
		return txn, err
	}
	return refusedTxn{txn}, nil
}

// scattered says yes to about half of the numbers, in no order: one transaction within another would else be the second
// always.
func scattered(n uint64) bool { return (n*0x9e3779b97f4a7c15)>>63 == 0 }

type refusedTxn struct{ driver.Txn }

func (t refusedTxn) Commit(ctx context.Context, _ []driver.Op) (driver.Stamp, error) {
	return driver.Stamp{}, t.Finish(ctx)
}

func (t refusedTxn) Finish(ctx context.Context) error {
	if err := t.Txn.Finish(ctx); err != nil {
		return err
	}
	return driver.ErrConflict
}
