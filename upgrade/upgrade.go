// Package upgrade knows in which formats a cloud has kept its rows. It brings a store of an older format up to the
// present one and refuses a newer.
//
// The format is about what the rooms keep, their keys and rows; how an engine lays bytes out has a version of
// its own. A format is counted up when a room can no longer read what an older version wrote.
//
//	1  the first: the store does not say its format
//	2  the store says its format
//	3  environment variables of functions are encrypted in their rows; those of before are read as they are
//
// # Keys, in the room "cloud"
//
//	("format")     row{Format}: the format of the store; absent in format 1
//	("restoring")  empty value: a restore into this store has begun and has not ended
//	("keys")       a digest of the master key with which secrets in the store are sealed
package upgrade

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"

	"lambent/kv"
)

// Format is the format of stores that this version writes.
const Format = 3

// Errors to branch on with errors.Is.
var (
	// ErrNewer says that a newer version of the program wrote the store.
	ErrNewer = errors.New("the store was written by a newer version")
	// ErrOtherKeys says that the store belongs to a cloud with another master key.
	ErrOtherKeys = errors.New("the store belongs to a cloud with another master key")
	// ErrRestoring says that a restore into the store has not ended.
	ErrRestoring = errors.New("a restore into this store did not end")
)

var (
	formatKey    = kv.Key("format")
	restoringKey = kv.Key("restoring")
	keysKey      = kv.Key("keys")
)

type row struct{ Format int }

func room(root *kv.Store) *kv.Store { return root.In("cloud") }

// A step brings a store from the format before to the next. It may be cut off anywhere and begun again, and two
// servers may run it at once.
type step func(ctx context.Context, root *kv.Store) error

// steps are the ways from each format to the next, from format 1 on.
var steps = []step{
	func(context.Context, *kv.Store) error { return nil }, // to 2: that it is written down is all
	func(context.Context, *kv.Store) error { return nil }, // to 3: rows are sealed when they are next written
}

// Store brings the store up to the present format and returns it, or says why it cannot be used. A new store gets
// that format.
func Store(ctx context.Context, root *kv.Store) (int, error) {
	from, err := Read(ctx, root)
	if err != nil {
		return 0, err
	}
	for n := from; n < Format; n++ {
		if err := steps[n-1](ctx, root); err != nil {
			return 0, fmt.Errorf("upgrade the store from format %d: %w", n, err)
		}
		if err := Record(ctx, root, n+1); err != nil {
			return 0, err
		}
	}
	return Format, nil
}

// Read returns the format of a store that this version can use.
func Read(ctx context.Context, root *kv.Store) (int, error) {
	r := row{Format: 1}
	var restoring []byte
	err := room(root).View(ctx, func(v kv.Reader) (err error) {
		if _, err = kv.GetRow(ctx, v, formatKey, &r); err != nil {
			return err
		}
		restoring, err = v.Get(ctx, restoringKey)
		return err
	})
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the format of the store: %w", err)
	case restoring != nil:
		return 0, ErrRestoring
	case r.Format > Format:
		return 0, fmt.Errorf("%w: its format is %d, this version knows %d; use the newer version", ErrNewer, r.Format, Format)
	}
	return r.Format, nil
}

// Record writes down the format of the store, unless it says a higher one already.
func Record(ctx context.Context, root *kv.Store, format int) error {
	return room(root).Update(ctx, func(tx *kv.Tx) error {
		var r row
		if _, err := kv.GetRow(ctx, tx, formatKey, &r); err != nil || r.Format >= format {
			return err
		}
		return kv.PutRow(tx, formatKey, row{format})
	})
}

// BeginRestore marks the store, which must be empty or marked already, and empties it. Nobody can use it until EndRestore.
func BeginRestore(ctx context.Context, root *kv.Store) error {
	empty, err := root.Empty(ctx)
	if err != nil {
		return err
	}
	if !empty {
		if _, err := Read(ctx, root); !errors.Is(err, ErrRestoring) {
			return errors.Join(errors.New("the store is not empty"), err)
		}
		if err := root.Clear(ctx); err != nil {
			return err
		}
	}
	return room(root).Update(ctx, func(tx *kv.Tx) error { tx.Set(restoringKey, nil); return nil })
}

// EndRestore takes the mark away.
func EndRestore(ctx context.Context, root *kv.Store) error {
	return room(root).Update(ctx, func(tx *kv.Tx) error { tx.Delete(restoringKey); return nil })
}

// Belongs says whether the store is of the cloud with this master key: ErrOtherKeys when it is not. A store that does
// not know its cloud's yet is told. The digest says nothing of the key.
func Belongs(ctx context.Context, root *kv.Store, master []byte) error {
	mac := hmac.New(sha256.New, master)
	mac.Write([]byte("lambent store"))
	want := mac.Sum(nil)
	return room(root).Update(ctx, func(tx *kv.Tx) error {
		known, err := tx.Get(ctx, keysKey)
		switch {
		case err != nil:
			return err
		case known == nil:
			tx.Set(keysKey, want)
		case !bytes.Equal(known, want):
			return ErrOtherKeys
		}
		return nil
	})
}
