// Package fileblob is a bucket under package blob in a folder of a local file system, or of one that several
// servers share and that has file locks.
//
// An object is a file blobs/ab/abcd…, where ab are the first two digits of its name. It is written in
// tmp/, synced, renamed, and then the folder is synced: when Commit returns, the object survives a loss of
// power. The time that RemoveOlder looks at is the file's modification time.
//
// Each process writes in a folder of its own below tmp/, beside a locked file that says that it lives; Open
// removes what dead ones have left. Commit and RemoveOlder of an object exclude each other by a lock on a
// file in locks/, which all processes see.
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
	"syscall"
	"time"

	"lambent/blob/driver"
)

// Bucket is a folder of objects.
type Bucket struct {
	root  string
	mine  string      // the folder below tmp/ in which this process writes
	alive *os.File    // locked while it does
	locks [256]locker // by first byte of the name

	// step is told of each change to the disk before it is made, and may fail it: tests break the disk there.
	step func(op, path string) error
}

var _ driver.Bucket = (*Bucket)(nil)

// Open opens the bucket in the folder root, and makes it if there is none. The caller closes it.
func Open(root string) (*Bucket, error) { return open(root, func(string, string) error { return nil }) }

func open(root string, step func(op, path string) error) (*Bucket, error) {
	b := &Bucket{root: root, step: step}
	if err := b.prepare(); err != nil {
		if b.alive != nil {
			err = errors.Join(err, b.alive.Close())
		}
		return nil, fmt.Errorf("open blobs: %w", explain(err))
	}
	return b, nil
}

// Reader returns the bucket in the folder root to read from. It touches nothing: Create and RemoveOlder must not be called.
func Reader(root string) *Bucket { return &Bucket{root: root} }

func (b *Bucket) prepare() error {
	for _, dir := range []string{b.root, b.tmp(), b.blobs(), filepath.Join(b.root, "locks")} {
		if err := b.step("mkdir", dir); err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	for i := range b.locks {
		b.locks[i].path = filepath.Join(b.root, "locks", fmt.Sprintf("%02x", i))
	}
	if err := errors.Join(b.removeDead(), b.live()); err != nil {
		return err
	}
	// The folders' own entries must survive too.
	return errors.Join(b.syncDir(b.blobs()), b.syncDir(b.root), b.syncDir(filepath.Dir(b.root)))
}

func (b *Bucket) tmp() string   { return filepath.Join(b.root, "tmp") }
func (b *Bucket) blobs() string { return filepath.Join(b.root, "blobs") }

// path returns the file of an object, and its lock.
func (b *Bucket) path(name string) (string, *locker, error) {
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
	if err := b.step("create", b.mine); err != nil {
		return nil, explain(err)
	}
	f, err := os.CreateTemp(b.mine, "put-*")
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
	if err := lock.lock(); err != nil {
		return false, err
	}
	defer lock.unlock()
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || !info.ModTime().Before(cutoff) {
		return false, err
	}
	if err := b.step("remove", path); err != nil {
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
	if err := u.bucket.step("write", u.file.Name()); err != nil {
		return 0, explain(err)
	}
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
	there, err := u.bucket.renew(path, lock)
	if err != nil {
		return err
	}
	if there {
		return u.Abort()
	}
	if err := u.close(); err != nil {
		return err
	}
	if err := lock.lock(); err != nil {
		return err
	}
	defer lock.unlock()
	return u.rename(path)
}

// close makes the bytes durable in tmp/.
func (u *upload) close() error {
	now := time.Now() // the last write may be long ago
	if err := os.Chtimes(u.file.Name(), now, now); err != nil {
		return err
	}
	if err := u.bucket.step("sync", u.file.Name()); err != nil {
		return err
	}
	if err := u.file.Sync(); err != nil {
		return err
	}
	return u.file.Close()
}

// rename gives the object its name, durably.
func (u *upload) rename(path string) error {
	if err := u.bucket.makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := u.bucket.step("rename", path); err != nil {
		return err
	}
	if err := os.Rename(u.file.Name(), path); err != nil {
		return err
	}
	u.ended = true
	return u.bucket.syncDir(filepath.Dir(path))
}

// renew gives an existing object a new modification time and says whether there is one. Its folder is synced
// again, for the process that made the object may have died before it did so.
func (b *Bucket) renew(path string, lock *locker) (bool, error) {
	if err := lock.lock(); err != nil {
		return false, err
	}
	defer lock.unlock()
	if err := os.Chtimes(path, time.Time{}, time.Now()); err != nil {
		return false, nil // absent, or another's: it is written anew
	}
	return true, b.syncDir(filepath.Dir(path))
}

// makeDir makes the folder of an object, durably: another process may have made it and died before it was.
func (b *Bucket) makeDir(dir string) error {
	if err := b.step("mkdir", dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return b.syncDir(b.blobs())
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
func (b *Bucket) syncDir(dir string) error {
	if err := b.step("syncdir", dir); err != nil {
		return err
	}
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
