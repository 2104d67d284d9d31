package backup

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"hash/fnv"
	"io"
	"time"

	"lambent/blob"
	"lambent/kv"
)

// Source is a cloud as a backup sees it.
type Source interface {
	// Stream returns the cloud's state at one moment, all but the bytes of its blobs, in the form that
	// Folder.Take reads. The caller closes it.
	Stream(ctx context.Context) (io.ReadCloser, error)
	// Blob opens a blob that the stream has named, at most an hour after it did. The caller closes it.
	Blob(ctx context.Context, hash [sha256.Size]byte) (io.ReadCloser, error)
}

// Cloud is a Source that reads the stores themselves.
type Cloud struct {
	Store   *kv.Store
	Blobs   *blob.Store
	Files   []File // keys and certificates
	Version string // of the program
	Format  int    // of the store
}

var _ Source = (*Cloud)(nil)

// holdFor is how long blobs are kept after the last sign of a backup; renewed when half of it is over.
const holdFor = 2 * time.Hour

// Stream implements Source.
func (c *Cloud) Stream(ctx context.Context) (io.ReadCloser, error) {
	r, w := io.Pipe()
	go func() { w.CloseWithError(c.Send(ctx, w)) }() // ends when the reader is closed
	return r, nil
}

// Blob implements Source.
func (c *Cloud) Blob(ctx context.Context, hash [sha256.Size]byte) (io.ReadCloser, error) {
	if err := c.hold(ctx); err != nil {
		return nil, err
	}
	return c.Blobs.Bytes(ctx, hash)
}

// hold keeps blobs from being swept. It writes at most about once an hour.
func (c *Cloud) hold(ctx context.Context) error {
	return c.Blobs.Hold(ctx, time.Now().Add(holdFor).Truncate(holdFor/2))
}

// Send writes the cloud's state at one moment to w: a stream that tells by itself whether it is whole.
func (c *Cloud) Send(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriterSize(w, 256<<10)
	if _, err := out.WriteString(streamMagic); err != nil {
		return err
	}
	s := sender{out}
	totals, err := c.send(ctx, s)
	if err != nil {
		err = errors.Join(err, s.frame(frameBroken, []byte(err.Error())), out.Flush())
		return err
	}
	if err := s.json(frameEnd, totals); err != nil {
		return err
	}
	return out.Flush()
}

func (c *Cloud) send(ctx context.Context, s sender) (t Totals, err error) {
	if err := c.hold(ctx); err != nil { // before the moment, so that all it refers to stays
		return t, err
	}
	x, err := c.Store.Export(ctx)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	above := x.Above()
	if err := s.json(frameHeader, Header{c.Version, c.Format, above[:]}); err != nil {
		return t, err
	}
	for _, f := range c.Files {
		t.Files++
		if err := s.json(frameFile, f); err != nil {
			return t, err
		}
	}
	if t.Rows, err = c.sendRows(ctx, s, x); err != nil {
		return t, err
	}
	t.Blobs, err = c.sendBlobs(ctx, s, x)
	return t, err
}

// sendRows cuts the rows into segments. Where one ends depends on the keys alone, so that a row that changes
// changes one segment.
func (c *Cloud) sendRows(ctx context.Context, s sender, x *kv.Export) (n int64, err error) {
	var segment []byte
	for row, err := range x.Rows(ctx) {
		if err != nil {
			return n, err
		}
		n++
		segment = appendRow(segment, row.Key, row.Value)
		if len(segment) >= maxSegment || len(segment) >= minSegment && endsSegment(row.Key) {
			if err := s.frame(frameRows, segment); err != nil {
				return n, err
			}
			segment = segment[:0]
		}
	}
	if len(segment) == 0 {
		return n, nil
	}
	return n, s.frame(frameRows, segment)
}

// Segments of rows are between these sizes, but for the last one and for one with a large row at its end.
const (
	minSegment = 128 << 10
	maxSegment = 4 << 20
)

// endsSegment says whether a segment may end with this key: about one in 512 does.
func endsSegment(key []byte) bool {
	h := fnv.New64a()
	_, _ = h.Write(key) // never fails
	sum := h.Sum64()
	return (sum^sum>>32)&511 == 0
}

// hashesInFrame is how many blobs one frame names.
const hashesInFrame = 1000

func (c *Cloud) sendBlobs(ctx context.Context, s sender, x *kv.Export) (n int64, err error) {
	var names []byte
	for hash, err := range c.Blobs.Referred(ctx, x) {
		if err != nil {
			return n, err
		}
		n++
		if names = append(names, hash[:]...); len(names) == hashesInFrame*sha256.Size {
			if err := s.frame(frameBlobs, names); err != nil {
				return n, err
			}
			names = names[:0]
		}
	}
	if len(names) == 0 {
		return n, nil
	}
	return n, s.frame(frameBlobs, names)
}
