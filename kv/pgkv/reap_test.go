package pgkv

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"lambent/kv/driver"
	"lambent/kv/pgkv/pgtest"
)

// TestReap: a session of ours that holds a transaction open, as one whose client froze, is ended; others are not. Until
// then it holds up the readers of streams, who are told less, and nothing wrong.
func TestReap(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	pg, err := pgtest.Start(ctx, pgtest.Options{})
	must(err)
	t.Cleanup(func() {
		if err := pg.Close(); err != nil {
			t.Error(err)
		}
	})
	e, err := Open(ctx, pg.URL(), Options{Unattended: true})
	must(err)
	defer e.Close()
	hang := func(name string) *pgx.Conn {
		c, err := pgx.Connect(ctx, pg.URL()+"&application_name="+name)
		must(err)
		_, err = c.Exec(ctx, "BEGIN; SELECT pg_current_xact_id()", pgx.QueryExecModeSimpleProtocol)
		must(err)
		return c
	}
	frozen, stranger := hang(applicationName), hang("somebody")
	defer frozen.Close(ctx)
	stamp := commitOne(t, e)
	low, err := e.StableBefore(ctx)
	must(err)
	if string(low[:]) > string(stamp[:]) {
		t.Errorf("stable before %x, though a transaction before %x hangs", low, stamp)
	}
	time.Sleep(20 * time.Millisecond) // the server counts real time
	must(e.reap(ctx, 10*time.Millisecond))
	_, err = frozen.Exec(ctx, "COMMIT")
	if ended := (*pgconn.PgError)(nil); !errors.As(err, &ended) || ended.Code != "57P01" {
		t.Errorf("the frozen session: %v, want that it was terminated", err)
	}
	_, err = stranger.Exec(ctx, "COMMIT")
	must(err)
	must(stranger.Close(ctx))
	stable, err := e.StableBefore(ctx)
	must(err)
	if string(stable[:]) <= string(stamp[:]) || string(stable[:]) <= string(low[:]) {
		t.Errorf("stable before %x in the end, %x before, the commit %x", stable, low, stamp)
	}
}

func commitOne(t *testing.T, e *Engine) driver.Stamp {
	t.Helper()
	txn, err := e.Begin(t.Context(), driver.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	stamp, err := txn.Commit(t.Context(), []driver.Op{{Kind: driver.Set, Key: []byte{2}, Value: []byte("v")}})
	if err != nil {
		t.Fatal(err)
	}
	return stamp
}
