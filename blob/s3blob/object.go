package s3blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"lambent/blob/driver"
)

// object is an open generation. Read and Seek follow one request at a time, which begins where the reader is;
// ReadAt brings the whole into a local file.
type object struct {
	bucket *Bucket
	ctx    context.Context // of the open object: ends with Close
	end    context.CancelFunc
	key    string
	size   int64

	at   int64         // where the next Read begins
	body io.ReadCloser // of the request under way, nil when there is none
	from int64         // where body stands

	mu    sync.Mutex // guards local
	local *os.File   // the whole, once ReadAt was called
}

// open begins to read a generation.
func (b *Bucket) open(ctx context.Context, key string) (driver.Object, error) {
	// The request lives as long as the object; until it is open it ends with the caller's context too.
	own, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, end)
	resp, err := b.client.get(own, key, 0)
	if !stop() && err == nil {
		err = errors.Join(ctx.Err(), resp.Body.Close())
	}
	if err == nil && resp.ContentLength < 0 {
		err = errors.Join(fmt.Errorf("s3 does not say how large %s is", key), resp.Body.Close())
	}
	if err != nil {
		end()
		return nil, err
	}
	return &object{bucket: b, ctx: own, end: end, key: key, size: resp.ContentLength, body: resp.Body}, nil
}

// Size implements driver.Object.
func (o *object) Size() int64 { return o.size }

// readTries is how often a read goes on after its connection broke.
const readTries = 3

// Read implements io.Reader.
func (o *object) Read(p []byte) (n int, err error) {
	if o.at >= o.size {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	for range readTries {
		if err = o.stand(); err != nil {
			return 0, err
		}
		n, err = o.body.Read(p[:min(int64(len(p)), o.size-o.at)])
		o.at, o.from = o.at+int64(n), o.from+int64(n)
		if n > 0 {
			return n, nil // an error comes again
		}
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			o.drop()
		}
	}
	return n, err
}

// stand sees that there is a request whose next byte is that at o.at.
func (o *object) stand() error {
	if o.body != nil && o.from == o.at {
		return nil
	}
	o.drop()
	resp, err := o.bucket.client.get(o.ctx, o.key, o.at)
	if err != nil {
		return err
	}
	o.body, o.from = resp.Body, o.at
	return nil
}

// drop ends the request under way.
func (o *object) drop() {
	if o.body != nil {
		_ = o.body.Close() // nobody wants the rest
		o.body = nil
	}
}

// Seek implements io.Seeker.
func (o *object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.size
	}
	if offset < 0 {
		return 0, errors.New("s3blob: seek before the start")
	}
	o.at = offset
	return offset, nil
}

// ReadAt implements io.ReaderAt.
func (o *object) ReadAt(p []byte, off int64) (int, error) {
	f, err := o.whole()
	if err != nil {
		return 0, err
	}
	return f.ReadAt(p, off)
}

// whole returns a local file with all bytes.
func (o *object) whole() (*os.File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.local != nil {
		return o.local, nil
	}
	f, err := unnamed(o.bucket.spool)
	if err != nil {
		return nil, err
	}
	// A request of its own: the one under way belongs to Read.
	resp, err := o.bucket.client.get(o.ctx, o.key, 0)
	if err == nil {
		var n int64
		n, err = io.Copy(f, resp.Body)
		if err = errors.Join(explain(err), resp.Body.Close()); err == nil && n != o.size {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	o.local = f
	return f, nil
}

// Close implements io.Closer.
func (o *object) Close() error {
	o.drop()
	o.end()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.local == nil {
		return nil
	}
	f := o.local
	o.local = nil
	return f.Close()
}
