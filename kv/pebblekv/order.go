package pebblekv

import (
	"errors"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// orderedFS makes Pebble's markers appear in order. A marker is an empty file whose name says which file is
// the current one; Pebble makes the file, makes the new marker, removes the old, and then syncs the
// folder once. A file system that keeps the order of such changes is happy with that; one that may keep
// any of them and lose the others in a power cut could be left with a marker to a file that is gone, or
// with no marker, which Pebble takes for an empty store. So the folder is synced before a marker is made,
// and again before another is removed.
//
// It also tells broken, before Pebble, what goes wrong with the log or in a sync of the folder: nothing is right
// after that, and Pebble panics for some of it with its own locks in disorder, at times in its own goroutines.
type orderedFS struct {
	vfs.FS
	broken func(error)
}

// Create implements vfs.FS.
func (o orderedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !strings.HasPrefix(o.PathBase(name), "marker.") {
		f, err := o.FS.Create(name, category)
		return o.watchLog(name, f, err)
	}
	if err := o.syncDir(name); err != nil {
		return nil, err
	}
	f, err := o.FS.Create(name, category)
	if err != nil {
		return nil, err
	}
	if err := o.syncDir(name); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ReuseForWrite implements vfs.FS.
func (o orderedFS) ReuseForWrite(before, now string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := o.FS.ReuseForWrite(before, now, category)
	return o.watchLog(now, f, err)
}

// OpenDir implements vfs.FS.
func (o orderedFS) OpenDir(name string) (vfs.File, error) {
	f, err := o.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return watched{f, o.broken}, nil
}

// watchLog passes on a file that was opened for writing, watched if it is one of the log's.
func (o orderedFS) watchLog(name string, f vfs.File, err error) (vfs.File, error) {
	if !strings.HasSuffix(name, ".log") {
		return f, err
	}
	if err != nil {
		o.broken(err)
		return nil, err
	}
	return watched{f, o.broken}, nil
}

// Unwrap implements vfs.FS.
func (o orderedFS) Unwrap() vfs.FS { return o.FS }

// syncDir makes the entries of the folder of name durable.
func (o orderedFS) syncDir(name string) error {
	dir, err := o.OpenDir(o.PathDir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// watched is a file or folder that tells when it fails to take or keep what is written.
type watched struct {
	vfs.File
	broken func(error)
}

func (w watched) tell(err error) error {
	if err != nil {
		w.broken(err)
	}
	return err
}

// Write implements vfs.File.
func (w watched) Write(p []byte) (int, error) {
	n, err := w.File.Write(p)
	return n, w.tell(err)
}

// Sync implements vfs.File.
func (w watched) Sync() error { return w.tell(w.File.Sync()) }

// SyncData implements vfs.File.
func (w watched) SyncData() error { return w.tell(w.File.SyncData()) }

// SyncTo implements vfs.File.
func (w watched) SyncTo(length int64) (fullSync bool, err error) {
	fullSync, err = w.File.SyncTo(length)
	return fullSync, w.tell(err)
}

// Close implements vfs.File.
func (w watched) Close() error { return w.tell(w.File.Close()) }
