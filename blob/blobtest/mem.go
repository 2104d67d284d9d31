// Package blobtest holds the exam that every bucket under package blob must pass, and stores for tests.
package blobtest

import (
	"testing"

	"lambent/blob"
	"lambent/blob/memblob"
	"lambent/kv"
)

// Mem returns a fresh store in memory whose references live in store.
func Mem(t testing.TB, store *kv.Store) *blob.Store {
	t.Helper()
	return blob.New(memblob.New(), store)
}
