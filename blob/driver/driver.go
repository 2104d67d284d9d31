// Package driver defines what a place for large immutable bytes must do to stand under package blob.
package driver

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// ErrFull says that there is no space left.
var ErrFull = errors.New("blob: no space left")

// Bucket holds objects by name. Names are lower-case hexadecimal digits, 64 of them, and say what the
// bytes are: two objects of one name have the same bytes.
type Bucket interface {
	// Create starts an upload. It is not visible before its Commit.
	Create(ctx context.Context) (Upload, error)
	// Open returns the object, or an error that is fs.ErrNotExist.
	Open(ctx context.Context, name string) (Object, error)
	// RemoveOlder removes the object if its last Commit was before cutoff, and says whether it did. A Commit
	// at the same time is never undone: either it comes first and the object stays, or it comes after
	// and makes the object anew.
	RemoveOlder(ctx context.Context, name string, cutoff time.Time) (bool, error)
	// Names yields the names of all objects; those that come or go meanwhile may be missing.
	Names(ctx context.Context) iter.Seq2[string, error]
}

// Upload is an object in the making. It is ended by one call of Commit or Abort.
type Upload interface {
	io.Writer
	// Commit makes the bytes written durable under name. If the object exists, Commit only renews the time
	// that RemoveOlder looks at.
	Commit(ctx context.Context, name string) error
	// Abort throws the bytes away. After Commit it does nothing.
	Abort() error
}

// Object is an open object. It can be read to its end even if it is removed meanwhile.
type Object interface {
	io.ReadSeekCloser
	io.ReaderAt
	Size() int64
}
