package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"time"

	"lambent/blob"
)

// Pruned is what a Prune has removed.
type Pruned struct {
	Snapshots int `json:"snapshots"`
	Pieces    int `json:"pieces"`
}

// Prune removes all snapshots but the newest ones, as many as keep says, and the pieces that none of those needs.
// It keeps some tens of bytes of memory for each piece. When it is cut off, the next one goes on.
func (f *Folder) Prune(ctx context.Context, keep int) (p Pruned, err error) {
	if keep < 1 {
		return p, errors.New("at least one snapshot is kept")
	}
	ids, err := f.Snapshots()
	if err != nil {
		return p, err
	}
	cut := max(0, len(ids)-keep)
	// What the others need must be known before anything goes: a damaged one stops it here.
	needed, err := f.needed(ctx, ids[cut:])
	if err != nil {
		return p, err
	}
	for _, id := range ids[:cut] {
		if err := os.Remove(filepath.Join(f.dir, snapshotsDir, id+".json")); err != nil {
			return p, err
		}
		p.Snapshots++
	}
	if err := syncDir(filepath.Join(f.dir, snapshotsDir)); err != nil {
		return p, err
	}
	p.Pieces, err = f.removeBut(ctx, needed)
	return p, err
}

// needed are the hashes of all pieces of the snapshots.
func (f *Folder) needed(ctx context.Context, ids []string) (map[[sha256.Size]byte]bool, error) {
	needed := map[[sha256.Size]byte]bool{}
	for _, id := range ids {
		m, err := f.Snapshot(id)
		if err != nil {
			return nil, err
		}
		for _, pieces := range [][]blob.Ref{m.Segments, m.Lists} {
			for _, ref := range pieces {
				needed[ref.SHA256] = true
			}
		}
		for ref, err := range f.blobs(ctx, m) {
			if err != nil {
				return nil, err
			}
			needed[ref.SHA256] = true
		}
	}
	return needed, nil
}

// removeBut removes the pieces that are not needed.
func (f *Folder) removeBut(ctx context.Context, needed map[[sha256.Size]byte]bool) (n int, err error) {
	for name, err := range f.pieces.Names(ctx) {
		if err != nil {
			return n, err
		}
		hash, err := hex.DecodeString(name)
		if err != nil {
			return n, err
		}
		if needed[[sha256.Size]byte(hash)] {
			continue
		}
		gone, err := f.pieces.RemoveOlder(ctx, name, time.Now().Add(time.Hour)) // whatever its time: nobody else writes here
		if err != nil {
			return n, err
		}
		if gone {
			n++
		}
	}
	return n, nil
}
