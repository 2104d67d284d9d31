package kv_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lambent/kv"
	"lambent/kv/driver"
	"lambent/kv/kvtest"
)

// refusing is an engine whose commits all end with an error.
type refusing struct {
	driver.Engine
	err error
}

func (e *refusing) Begin(context.Context, driver.Mode) (driver.Txn, error) {
	return refusingTxn{e}, nil
}

type refusingTxn struct{ e *refusing }

func (refusingTxn) Get(context.Context, []byte, bool) ([]byte, error)             { return nil, nil }
func (refusingTxn) GetAll(context.Context, [][]byte, bool) ([][]byte, error)      { return nil, nil }
func (refusingTxn) Scan(context.Context, driver.Range, bool) ([]driver.KV, error) { return nil, nil }
func (refusingTxn) Finish(context.Context) error                                  { return nil }
func (t refusingTxn) Commit(context.Context, []driver.Op) (driver.Stamp, error) {
	return driver.Stamp{}, t.e.err
}
func (refusing) Stats() driver.Stats { return driver.Stats{} }

// TestGivesUp: an Update that always meets a conflict ends with ErrConflict.
func TestGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kv.New(&refusing{err: driver.ErrConflict})
		start, runs := time.Now(), 0
		err := s.Update(t.Context(), func(*kv.Tx) error { runs++; return nil })
		if !errors.Is(err, kv.ErrConflict) {
			t.Errorf("got %v, want ErrConflict", err)
		}
		if took := time.Since(start); took < 5*time.Second || took > 30*time.Second {
			t.Errorf("gave up after %v", took)
		}
		if runs < 100 || runs > 10_000 {
			t.Errorf("gave up after %d runs", runs)
		}
		if got := s.Stats(); got.GaveUp != 1 || got.Retries != uint64(runs-1) || got.Updates != 1 {
			t.Errorf("after %d runs: %+v", runs, got)
		}
	})
}

// TestNotRetried: what is no conflict is not tried again. After an unknown outcome watchers look for themselves.
func TestNotRetried(t *testing.T) {
	for _, tt := range []struct {
		err   error
		wakes int
	}{{kv.ErrUnknown, 1}, {kv.ErrFull, 0}, {errors.New("disk on fire"), 0}} {
		s := kv.New(&refusing{err: tt.err})
		wake, stop := s.Watch("topic")
		runs := 0
		err := s.Update(t.Context(), func(tx *kv.Tx) error { runs++; tx.Notify("topic"); return nil })
		if !errors.Is(err, tt.err) || runs != 1 || len(wake) != tt.wakes {
			t.Errorf("%v: got %v after %d runs, %d wake-ups", tt.err, err, runs, len(wake))
		}
		stop()
	}
}

// TestTooOld: a closure that takes longer than MaxAge fails, whatever it does, and does not run again.
func TestTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := kvtest.Mem(t)
		ctx := t.Context()
		runs := 0
		err := s.Update(ctx, func(tx *kv.Tx) error {
			runs++
			tx.Set([]byte("a"), nil)
			time.Sleep(kv.MaxAge + 1)
			return nil
		})
		if !errors.Is(err, kv.ErrTooOld) || runs != 1 {
			t.Errorf("Update: got %v after %d runs, want ErrTooOld after one", err, runs)
		}
		err = s.View(ctx, func(r kv.Reader) error {
			if v, err := r.Get(ctx, []byte("a")); v != nil || err != nil {
				t.Errorf("Get: %q, %v", v, err)
			}
			time.Sleep(kv.MaxAge + 1)
			_, err := r.Get(ctx, []byte("a"))
			return err
		})
		if !errors.Is(err, kv.ErrTooOld) {
			t.Errorf("View: got %v, want ErrTooOld", err)
		}
	})
}

func TestInAnotherStore(t *testing.T) {
	a, b := kvtest.Mem(t), kvtest.Mem(t)
	defer func() {
		if p, _ := recover().(string); !strings.Contains(p, "another store") {
			t.Errorf("panic %q", p)
		}
	}()
	_ = a.Update(t.Context(), func(tx *kv.Tx) error { tx.In(b); return nil })
}

func TestRow(t *testing.T) {
	type row struct {
		Name string
		N    int
	}
	s := kvtest.Mem(t)
	ctx := t.Context()
	err := s.Update(ctx, func(tx *kv.Tx) error {
		tx.Set([]byte("newer"), []byte("\x02{}"))
		tx.Set([]byte("empty"), nil)
		tx.Set([]byte("broken"), []byte("\x01{"))
		if err := kv.PutRow(tx, []byte("bad"), func() {}); err == nil {
			t.Error("PutRow of a function gave no error")
		}
		return kv.PutRow(tx, []byte("row"), row{"x", 1})
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.View(ctx, func(r kv.Reader) error {
		var got row
		if found, err := kv.GetRow(ctx, r, []byte("row"), &got); !found || err != nil || got != (row{"x", 1}) {
			t.Errorf("row: got %+v, %v, %v", got, found, err)
		}
		if found, err := kv.GetRow(ctx, r, []byte("absent"), &got); found || err != nil {
			t.Errorf("absent row: got %v, %v", found, err)
		}
		for _, k := range []string{"newer", "empty"} {
			if _, err := kv.GetRow(ctx, r, []byte(k), &got); !errors.Is(err, kv.ErrRowFormat) {
				t.Errorf("%s row: got %v, want ErrRowFormat", k, err)
			}
		}
		if _, err := kv.GetRow(ctx, r, []byte("broken"), &got); err == nil || errors.Is(err, kv.ErrRowFormat) {
			t.Errorf("broken row: got %v", err)
		}
		v, err := r.Get(ctx, []byte("row"))
		if string(v) != "\x01"+`{"Name":"x","N":1}` {
			t.Errorf("stored %q", v)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNotifyElsewhere: what one store says of its commits wakes the watchers of another handle on the same rows.
func TestNotifyElsewhere(t *testing.T) {
	here, there := kvtest.Mem(t), kvtest.Mem(t)
	here.OnNotify(there.Wake)
	wake, stop := there.In("room").Watch("topic")
	defer stop()
	notify := func(s *kv.Store) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx *kv.Tx) error { tx.Notify("topic"); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	notify(here.In("another room"))
	select {
	case <-wake:
		t.Error("woken for another room")
	default:
	}
	notify(here.In("room"))
	select {
	case <-wake:
	default:
		t.Error("not woken")
	}
}
