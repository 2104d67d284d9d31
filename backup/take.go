package backup

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"lambent/blob"
)

// Progress is how far a backup, a check or a restore has come.
type Progress struct {
	Rows       int64 `json:"rows"`
	Blobs      int64 `json:"blobs"`
	BlobsOf    int64 `json:"blobsOf"`    // how many there are; 0 while that is not known
	Bytes      int64 `json:"bytes"`      // of rows and blobs looked at
	NewPieces  int64 `json:"newPieces"`  // written because they were not there
	BytesAdded int64 `json:"bytesAdded"` // in them
}

// Observer is told of progress, from one goroutine at a time. It must not wait.
type Observer func(Progress)

// Take makes a snapshot of a cloud. Blobs that the folder has are not asked for.
func (f *Folder) Take(ctx context.Context, from Source, tell Observer) (_ *Manifest, err error) {
	t := &taker{ctx: ctx, folder: f, tell: tell, m: &Manifest{Format: manifestFormat, Time: time.Now().UTC().Truncate(time.Millisecond)}}
	if err := t.begin(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.end()) }()
	stream, err := from.Stream(ctx)
	if err != nil {
		return nil, err
	}
	t.m.Totals, err = receive(stream, t)
	if err = errors.Join(err, stream.Close()); err != nil {
		return nil, err
	}
	if err := t.fetch(from); err != nil {
		return nil, err
	}
	return t.m, f.save(t.m)
}

// taker writes what a stream holds into a folder.
type taker struct {
	ctx    context.Context // of Take; a taker lives no longer
	folder *Folder
	tell   Observer
	done   Progress
	m      *Manifest
	names  *os.File // hashes of the blobs: the bytes come after the stream, which should not wait for them
}

func (t *taker) begin() (err error) {
	t.names, err = os.OpenFile(filepath.Join(t.folder.dir, namesFile), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	return err
}

func (t *taker) end() error { return errors.Join(t.names.Close(), os.Remove(t.names.Name())) }

func (t *taker) header(h Header) error {
	t.m.Version, t.m.Store, t.m.Above = h.Version, h.Format, h.Above
	return nil
}

func (t *taker) file(f File) error {
	if !filepath.IsLocal(f.Path) {
		return fmt.Errorf("%w: it names the file %q", errNoStream, f.Path)
	}
	t.m.Files = append(t.m.Files, f)
	return nil
}

func (t *taker) rows(segment []byte) error {
	ref, written, err := t.folder.put(t.ctx, segment)
	if err != nil {
		return err
	}
	t.m.Segments = append(t.m.Segments, ref)
	n, _ := countRows(segment) // it was counted before
	t.done.Rows += n
	t.note(ref.Size, written)
	return nil
}

func (t *taker) blobs(hashes [][sha256.Size]byte) error {
	for _, h := range hashes {
		if _, err := t.names.Write(h[:]); err != nil {
			return err
		}
	}
	return nil
}

// note tells how far it has come.
func (t *taker) note(size int64, written bool) {
	t.done.Bytes += size
	if written {
		t.done.NewPieces++
		t.done.BytesAdded += size
	}
	t.tell(t.done)
}

// fetch gets the blobs that were named and are not there, some at a time, and writes the lists.
func (t *taker) fetch(from Source) error {
	t.done.BlobsOf = t.m.Totals.Blobs
	if _, err := t.names.Seek(0, io.SeekStart); err != nil {
		return err
	}
	names := bufio.NewReader(t.names)
	for {
		var batch [][sha256.Size]byte
		for len(batch) < hashesInFrame {
			var h [sha256.Size]byte
			if _, err := io.ReadFull(names, h[:]); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
			batch = append(batch, h)
		}
		if len(batch) == 0 {
			return nil
		}
		if err := t.fetchBatch(from, batch); err != nil {
			return err
		}
	}
}

// fetchesAtOnce is how many blobs are asked for at a time.
const fetchesAtOnce = 4

// fetched is a blob that is in the folder.
type fetched struct {
	at      int // in the batch
	size    int64
	written bool
}

func (t *taker) fetchBatch(from Source, batch [][sha256.Size]byte) error {
	got := make(chan fetched, len(batch))
	g, ctx := errgroup.WithContext(t.ctx)
	g.SetLimit(fetchesAtOnce)
	for i, hash := range batch {
		g.Go(func() error {
			size, written, err := t.folder.fetch(ctx, from, hash)
			if err != nil {
				return fmt.Errorf("blob %x: %w", hash, err)
			}
			got <- fetched{i, size, written}
			return nil
		})
	}
	ended := make(chan error, 1)
	go func() { ended <- g.Wait(); close(got) }()
	refs := make([]blob.Ref, len(batch))
	for b := range got {
		refs[b.at] = blob.Ref{SHA256: batch[b.at], Size: b.size}
		t.done.Blobs++
		t.m.Bytes += b.size
		t.note(b.size, b.written)
	}
	if err := <-ended; err != nil {
		return err
	}
	var list []byte
	for _, ref := range refs {
		list = append(append(list, ref.String()...), '\n')
	}
	ref, _, err := t.folder.put(t.ctx, list)
	t.m.Lists = append(t.m.Lists, ref)
	return err
}

// fetchTries is how often a blob is asked for.
const fetchTries = 3

// fetch sees that a blob is in the folder and returns its size.
func (f *Folder) fetch(ctx context.Context, from Source, hash [sha256.Size]byte) (size int64, written bool, err error) {
	if size, err = f.has(ctx, hash); err != nil || size >= 0 {
		return size, false, err
	}
	for range fetchTries {
		if err = f.fetchOnce(ctx, from, hash); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		return 0, false, err
	}
	size, err = f.has(ctx, hash)
	return size, true, err
}

func (f *Folder) fetchOnce(ctx context.Context, from Source, hash [sha256.Size]byte) error {
	r, err := from.Blob(ctx, hash)
	if err != nil {
		return err
	}
	return errors.Join(copyTo(ctx, f.pieces, r, hash, -1), r.Close())
}
