// Package fileblob is a bucket under package blob in a folder of a local file system.
//
// An object is a file blobs/ab/abcd…, where ab are the first two digits of its name. It is written in
// tmp/, synced, renamed, and then the folder is synced: when Commit returns, the object survives a loss of
// power. The time that RemoveOlder looks at is the file's modification time. What a crash left in tmp/ is
// removed by Open. One process at a time may use a folder.
package fileblob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"lambent/blob/driver"
)

// Bucket is a folder of objects.
type Bucket struct {
	root  string
	locks [256]sync.Mutex // by first byte of the name: Commit and RemoveOlder of an object exclude each other
}

var _ driver.Bucket = (*Bucket)(nil)

// Open opens the bucket in the folder root, and makes it if there is none.
func Open(root string) (*Bucket, error) {
	b := &Bucket{root: root}
	if err := b.prepare(); err != nil {
		return nil, fmt.Errorf("open blobs: %w", explain(err))
	}
	return b, nil
}

// Reader returns the bucket in the folder root to read from, though another process may have it open. It touches
// nothing: Create and RemoveOlder must not be called.
func Reader(root string) *Bucket { return &Bucket{root: root} }

func (b *Bucket) prepare() error {
	if err := os.RemoveAll(b.tmp()); err != nil {
		return err
	}
	for _, dir := range []string{b.tmp(), b.blobs()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	// The folders' own entries must survive too.
	return errors.Join(syncDir(b.blobs()), syncDir(b.root), syncDir(filepath.Dir(b.root)))
}

func (b *Bucket) tmp() string   { return filepath.Join(b.root, "tmp") }
func (b *Bucket) blobs() string { return filepath.Join(b.root, "blobs") }

// path returns the file of an object, and its lock.
func (b *Bucket) path(name string) (string, *sync.Mutex, error) {
	if !isName(name) {
		return "", nil, fmt.Errorf("blob: malformed name %q", name)
	}
	return filepath.Join(b.blobs(), name[:2], name), &b.locks[hexByte(name)], nil
}

const digits = "0123456789abcdef"

func isName(s string) bool { return len(s) == 64 && strings.Trim(s, digits) == "" }

// hexByte is the value of the first two digits of a name.
func hexByte(name string) int {
	return strings.IndexByte(digits, name[0])<<4 | strings.IndexByte(digits, name[1])
}

// Create implements driver.Bucket.
func (b *Bucket) Create(context.Context) (driver.Upload, error) {
	f, err := os.CreateTemp(b.tmp(), "put-*")
	if err != nil {
		return nil, explain(err)
	}
	return &upload{bucket: b, file: f}, nil
}

// Open implements driver.Bucket.
func (b *Bucket) Open(_ context.Context, name string) (driver.Object, error) {
	path, _, err := b.path(name)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return object{f, info.Size()}, nil
}

type object struct {
	*os.File
	size int64
}

func (o object) Size() int64 { return o.size }

// RemoveOlder implements driver.Bucket. The removal need not be synced: an object that comes back after a
// loss of power is swept again.
func (b *Bucket) RemoveOlder(_ context.Context, name string, cutoff time.Time) (bool, error) {
	path, lock, err := b.path(name)
	if err != nil {
		return false, err
	}
	lock.Lock()
	defer lock.Unlock()
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !info.ModTime().Before(cutoff) {
		return false, err
	}
	if err := os.Remove(path); err != nil {
		return false, err
	}
	return true, nil
}

// Names implements driver.Bucket.
func (b *Bucket) Names(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		dirs, err := os.ReadDir(b.blobs())
		if err != nil {
			yield("", err)
			return
		}
		for _, dir := range dirs {
			if !b.namesIn(ctx, dir.Name(), yield) {
				return
			}
		}
	}
}

// namesIn yields the names in one of the folders, and says whether to go on.
func (b *Bucket) namesIn(ctx context.Context, dir string, yield func(string, error) bool) bool {
	if err := ctx.Err(); err != nil {
		yield("", err)
		return false
	}
	files, err := os.ReadDir(filepath.Join(b.blobs(), dir))
	if err != nil {
		yield("", err)
		return false
	}
	for _, f := range files {
		if isName(f.Name()) && !yield(f.Name(), nil) {
			return false
		}
	}
	return true
}

// upload is a file in tmp/.
type upload struct {
	bucket *Bucket
	file   *os.File
	ended  bool
}

func (u *upload) Write(p []byte) (int, error) {
	n, err := u.file.Write(p)
	return n, explain(err)
}

// Commit implements driver.Upload.
func (u *upload) Commit(ctx context.Context, name string) error {
	if err := u.commit(ctx, name); err != nil {
		return errors.Join(explain(err), u.Abort())
	}
	return nil
}

func (u *upload) commit(ctx context.Context, name string) error {
	path, lock, err := u.bucket.path(name)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if u.bucket.renew(path, lock) {
		return u.Abort()
	}
	now := time.Now() // the last write may be long ago
	if err := os.Chtimes(u.file.Name(), now, now); err != nil {
		return err
	}
	if err := u.file.Sync(); err != nil {
		return err
	}
	if err := u.file.Close(); err != nil {
		return err
	}
	lock.Lock()
	defer lock.Unlock()
	if err := u.bucket.makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Rename(u.file.Name(), path); err != nil {
		return err
	}
	u.ended = true
	return syncDir(filepath.Dir(path))
}

// renew gives an existing object a new modification time and says whether it did. Its folder is synced
// again, for the process that made the object may have died before it did so.
func (b *Bucket) renew(path string, lock *sync.Mutex) bool {
	lock.Lock()
	defer lock.Unlock()
	if err := os.Chtimes(path, time.Time{}, time.Now()); err != nil {
		return false
	}
	return syncDir(filepath.Dir(path)) == nil
}

// makeDir makes the folder of an object, durably.
func (b *Bucket) makeDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(b.blobs())
}

// Abort implements driver.Upload.
func (u *upload) Abort() error {
	if u.ended {
		return nil
	}
	u.ended = true
	_ = u.file.Close() // may have been closed by Commit; the bytes are thrown away
	return os.Remove(u.file.Name())
}

// syncDir makes the entries of a folder durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// explain gives a full disk its name.
func explain(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", driver.ErrFull, err)
	}
	return err
}
