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
type orderedFS struct{ vfs.FS }

// Create implements vfs.FS.
func (o orderedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if !strings.HasPrefix(o.PathBase(name), "marker.") {
		return o.FS.Create(name, category)
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
