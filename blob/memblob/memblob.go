// Package memblob is a bucket under package blob that lives in memory and ends with the process.
package memblob

import (
	"bytes"
	"context"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"lambent/blob/driver"
)

// Bucket holds objects in memory.
type Bucket struct {
	mu      sync.Mutex // guards objects
	objects map[string]stored
}

type stored struct {
	data []byte // never changed
	put  time.Time
}

var _ driver.Bucket = (*Bucket)(nil)

// New returns an empty bucket.
func New() *Bucket { return &Bucket{objects: map[string]stored{}} }

// Create implements driver.Bucket.
func (b *Bucket) Create(context.Context) (driver.Upload, error) { return &upload{bucket: b}, nil }

// Open implements driver.Bucket.
func (b *Bucket) Open(_ context.Context, name string) (driver.Object, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, found := b.objects[name]
	if !found {
		return nil, fs.ErrNotExist
	}
	return object{bytes.NewReader(o.data)}, nil
}

// RemoveOlder implements driver.Bucket.
func (b *Bucket) RemoveOlder(_ context.Context, name string, cutoff time.Time) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, found := b.objects[name]
	if !found || !o.put.Before(cutoff) {
		return false, nil
	}
	delete(b.objects, name)
	return true, nil
}

// Names implements driver.Bucket.
func (b *Bucket) Names(context.Context) iter.Seq2[string, error] {
	b.mu.Lock()
	names := slices.Sorted(maps.Keys(b.objects))
	b.mu.Unlock()
	return func(yield func(string, error) bool) {
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
	}
}

type upload struct {
	bucket *Bucket
	data   []byte
}

func (u *upload) Write(p []byte) (int, error) {
	u.data = append(u.data, p...)
	return len(p), nil
}

func (u *upload) Commit(_ context.Context, name string) error {
	u.bucket.mu.Lock()
	defer u.bucket.mu.Unlock()
	u.bucket.objects[name] = stored{data: u.data, put: time.Now()}
	u.data = nil
	return nil
}

func (u *upload) Abort() error {
	u.data = nil
	return nil
}

// object reads the bytes as they were when it was opened.
type object struct{ *bytes.Reader }

func (object) Close() error { return nil }
