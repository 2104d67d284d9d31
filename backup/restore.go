package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"lambent/blob"
	"lambent/blob/driver"
	"lambent/kv"
)

// Verify reads every piece of a snapshot and holds it against its name.
func (f *Folder) Verify(ctx context.Context, m *Manifest, tell Observer) error {
	done := Progress{BlobsOf: m.Totals.Blobs}
	var rows int64
	for _, ref := range m.Segments {
		segment, err := f.read(ctx, ref)
		if err != nil {
			return err
		}
		n, err := countRows(segment)
		if err != nil {
			return fmt.Errorf("%w: segment %v: %w", ErrDamaged, ref, err)
		}
		rows += n
		done.Rows, done.Bytes = rows, done.Bytes+ref.Size
		tell(done)
	}
	if rows != m.Totals.Rows {
		return fmt.Errorf("%w: its segments hold %d rows, the manifest says %d", ErrDamaged, rows, m.Totals.Rows)
	}
	for ref, err := range f.blobs(ctx, m) {
		if err == nil {
			err = f.verify(ctx, ref)
		}
		if err != nil {
			return err
		}
		done.Blobs, done.Bytes = done.Blobs+1, done.Bytes+ref.Size
		tell(done)
	}
	if done.Blobs != m.Totals.Blobs {
		return fmt.Errorf("%w: its lists name %d blobs, the manifest says %d", ErrDamaged, done.Blobs, m.Totals.Blobs)
	}
	return nil
}

func (f *Folder) verify(ctx context.Context, ref blob.Ref) error {
	o, err := f.piece(ctx, ref)
	if err != nil {
		return err
	}
	h := sha256.New()
	_, err = io.Copy(h, readerUntil{ctx, o})
	if err := errors.Join(err, o.Close()); err != nil {
		return err
	}
	if [sha256.Size]byte(h.Sum(nil)) != ref.SHA256 {
		return fmt.Errorf("%w: piece %v is not what its name says", ErrDamaged, ref)
	}
	return nil
}

// readerUntil ends when its context does.
type readerUntil struct {
	ctx context.Context
	r   io.Reader
}

func (r readerUntil) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// blobs yields the blobs of a snapshot.
func (f *Folder) blobs(ctx context.Context, m *Manifest) iter.Seq2[blob.Ref, error] {
	return func(yield func(blob.Ref, error) bool) {
		for _, list := range m.Lists {
			text, err := f.read(ctx, list)
			if err != nil {
				yield(blob.Ref{}, err)
				return
			}
			for line := range bytes.Lines(text) {
				ref, err := blob.ParseRef(string(bytes.TrimSuffix(line, []byte("\n"))))
				if !yield(ref, err) || err != nil {
					return
				}
			}
		}
	}
}

// rows yields the rows of a snapshot.
func (f *Folder) rows(ctx context.Context, m *Manifest, tell func(n, size int64)) iter.Seq2[kv.KV, error] {
	return func(yield func(kv.KV, error) bool) {
		for _, ref := range m.Segments {
			segment, err := f.read(ctx, ref)
			if err != nil {
				yield(kv.KV{}, err)
				return
			}
			n := int64(0)
			for rest := segment; len(rest) > 0; n++ {
				var row kv.KV
				row.Key, row.Value, rest, err = nextRow(rest)
				if !yield(row, err) || err != nil {
					return
				}
			}
			tell(n, ref.Size)
		}
	}
}

// Restore puts a snapshot into an empty store and an empty bucket. When it fails, a part is there.
// Verify should have been asked before.
func (f *Folder) Restore(ctx context.Context, m *Manifest, store *kv.Store, bucket driver.Bucket, tell Observer) error {
	if len(m.Above) != len(kv.Stamp{}) {
		return fmt.Errorf("%w: its manifest has no stamp", ErrDamaged)
	}
	done := Progress{BlobsOf: m.Totals.Blobs}
	if err := f.restoreBlobs(ctx, m, bucket, func(n int, size int64) {
		done.Blobs, done.Bytes = done.Blobs+int64(n), done.Bytes+size
		tell(done)
	}); err != nil {
		return err
	}
	// The rows come after the blobs that they refer to.
	rows := f.rows(ctx, m, func(n, size int64) {
		done.Rows, done.Bytes = done.Rows+n, done.Bytes+size
		tell(done)
	})
	if err := store.Import(ctx, rows); err != nil {
		return err
	}
	return store.RaiseStamps(ctx, kv.Stamp(m.Above))
}

func (f *Folder) restoreBlobs(ctx context.Context, m *Manifest, bucket driver.Bucket, tell func(n int, size int64)) error {
	var batch []blob.Ref
	flush := func() error {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(fetchesAtOnce)
		var size int64
		for _, ref := range batch {
			size += ref.Size
			g.Go(func() error { return f.restoreBlob(ctx, ref, bucket) })
		}
		err := g.Wait()
		tell(len(batch), size)
		batch = batch[:0]
		return err
	}
	for ref, err := range f.blobs(ctx, m) {
		if err != nil {
			return err
		}
		if batch = append(batch, ref); len(batch) == 64 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func (f *Folder) restoreBlob(ctx context.Context, ref blob.Ref, bucket driver.Bucket) error {
	o, err := f.piece(ctx, ref)
	if err != nil {
		return err
	}
	err = copyTo(ctx, bucket, readerUntil{ctx, o}, ref.SHA256, ref.Size)
	if err := errors.Join(err, o.Close()); err != nil {
		return fmt.Errorf("blob %s: %w", hex.EncodeToString(ref.SHA256[:]), err)
	}
	return nil
}

// WriteFiles writes the snapshot's files below dir, durably.
func (m *Manifest) WriteFiles(dir string) error {
	for _, f := range m.Files {
		if !filepath.IsLocal(f.Path) {
			return fmt.Errorf("%w: its manifest names the file %q", ErrDamaged, f.Path)
		}
		path := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := writeDurably(path, f.Content); err != nil {
			return err
		}
		if err := os.Chmod(path, os.FileMode(f.Mode).Perm()); err != nil {
			return err
		}
	}
	return syncDir(dir)
}
