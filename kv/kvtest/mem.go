// Package kvtest holds the exam that every engine under package kv must pass, and stores for tests.
package kvtest

import (
	"testing"

	"lambent/kv"
	"lambent/kv/pebblekv"
)

// Mem returns a fresh store in memory that ends with the test.
func Mem(t testing.TB) *kv.Store {
	t.Helper()
	engine, err := pebblekv.OpenMem()
	if err != nil {
		t.Fatal(err)
	}
	store := kv.New(engine)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}
