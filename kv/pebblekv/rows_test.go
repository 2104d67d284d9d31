package pebblekv_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"lambent/kv"
	"lambent/kv/pebblekv"
)

// TestRowsAgree: rows that many read and few write are kept in memory. A reader sees all rows of one moment, and
// never less than what was acknowledged before it began, also when ranges are deleted between.
func TestRowsAgree(t *testing.T) {
	engine, err := pebblekv.OpenMem()
	if err != nil {
		t.Fatal(err)
	}
	s := kv.New(engine)
	defer s.Close()
	ctx := t.Context()
	const rounds, rows = 400, 8
	key := func(i int) []byte { return fmt.Appendf(nil, "row %d", i) }
	var readers sync.WaitGroup
	write := func(value string) {
		err := s.Update(ctx, func(tx *kv.Tx) error {
			if value == "" {
				tx.DeleteRange(key(0), key(rows))
				return nil
			}
			for i := range rows {
				tx.Set(key(i), []byte(value))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	read := func(r kv.Reader) (all [][]byte, err error) {
		for i := range rows {
			v, err := r.Get(ctx, key(i))
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		return all, nil
	}
	check := func(what string, all [][]byte, least string) {
		for i, v := range all {
			if !bytes.Equal(v, all[0]) || (v == nil) != (all[0] == nil) {
				t.Errorf("%s: row %d is %q, row 0 is %q", what, i, v, all[0])
			}
			if v != nil && string(v) < least {
				t.Errorf("%s: row %d is %q, less than %q, which was acknowledged", what, i, v, least)
			}
		}
	}
	stop, end := context.WithCancel(ctx)
	for range 4 {
		readers.Go(func() {
			for stop.Err() == nil {
				var all [][]byte
				if err := s.View(ctx, func(r kv.Reader) (err error) { all, err = read(r); return err }); err != nil {
					t.Error(err)
					return
				}
				check("beside writes", all, "")
			}
		})
	}
	for n := range rounds {
		value := fmt.Sprintf("%06d", n)
		if n%7 == 6 {
			value = ""
		}
		write(value)
		for range 3 { // the first fills the memory, the others are served from it
			err := s.View(ctx, func(r kv.Reader) error {
				all, err := read(r)
				check("after a write", all, value)
				if err == nil && (all[0] == nil) != (value == "") {
					t.Errorf("after writing %q: %q", value, all[0])
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	end()
	readers.Wait()
}

// TestRowsBound: what is kept in memory has a bound, whatever is read.
func TestRowsBound(t *testing.T) {
	engine, err := pebblekv.OpenMem()
	if err != nil {
		t.Fatal(err)
	}
	s := kv.New(engine)
	defer s.Close()
	ctx := t.Context()
	value := make([]byte, 4<<10)
	for n := range 2000 {
		key := fmt.Appendf(nil, "row %d", n)
		if err := s.Update(ctx, func(tx *kv.Tx) error { tx.Set(key, value); return nil }); err != nil {
			t.Fatal(err)
		}
		if err := s.View(ctx, func(r kv.Reader) error { _, err := r.Get(ctx, key); return err }); err != nil {
			t.Fatal(err)
		}
		if got := engine.Stats().RowBytes; got > 2<<20 || n > 600 && got < 1<<20 {
			t.Fatalf("after reading %d rows of 4 KiB: %d bytes are kept", n+1, got)
		}
	}
}
