package invoke

import (
	"compress/flate"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"lambent/blob"
)

// DefaultCodeBytes bounds the unpacked packages kept on disk.
const DefaultCodeBytes = 8 << 30

// Code is the packages of functions, unpacked, one folder for each content; and their layers, one folder for each list. A folder that no sandbox uses stays
// for the next cold start until the space is needed. Everything in it can be made again from blobs, so it begins
// empty at every start: after a power cut nobody knows which of its files are whole.
type Code struct {
	blobs    *blob.Store
	dir      string
	limit    int64
	log      *slog.Logger
	cleaning sync.WaitGroup

	mu      sync.Mutex
	entries map[[32]byte]*codeEntry
	unused  *list.List // of *codeEntry without users, least recently used first
	bytes   int64
}

type codeEntry struct {
	sum   [32]byte
	dir   string
	bytes int64
	users int
	place *list.Element // in unused, nil while used
	done  chan struct{} // closed when unpacked
	err   error         // valid after done
}

// OpenCode makes the cache in dir, which is its own, as are the names that begin with it. What an earlier process left
// is put aside at once and removed in the background: a start must not wait for that. limit 0 means DefaultCodeBytes.
func OpenCode(blobs *blob.Store, dir string, limit int64, log *slog.Logger) (*Code, error) {
	if limit == 0 {
		limit = DefaultCodeBytes
	}
	err := os.Rename(dir, fmt.Sprintf("%s.old-%d", dir, time.Now().UnixNano()))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("code cache: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("code cache: %w", err)
	}
	c := &Code{blobs: blobs, dir: dir, limit: limit, log: log, entries: map[[32]byte]*codeEntry{}, unused: list.New()}
	c.cleaning.Go(func() { c.remove(putAside(dir)) })
	return c, nil
}

// putAside lists what earlier processes left beside dir.
func putAside(dir string) []string {
	var old []string
	beside, _ := os.ReadDir(filepath.Dir(dir)) // what cannot be listed is not in the way either
	for _, e := range beside {
		if strings.HasPrefix(e.Name(), filepath.Base(dir)+".old-") {
			old = append(old, filepath.Join(filepath.Dir(dir), e.Name()))
		}
	}
	return old
}

// Close waits until what was put aside is removed.
func (c *Code) Close() error {
	c.cleaning.Wait()
	return nil
}

// Check unpacks a package and so finds out whether it is sound; it is there then for the first cold start. It returns
// how many bytes its files have. What is wrong with the package is a *CodeError.
func (c *Code) Check(ctx context.Context, ref blob.Ref) (size int64, err error) {
	e, err := c.enter(ctx, ref)
	if err != nil {
		return 0, err
	}
	defer c.free(e)
	return e.bytes, nil // settled before done
}

// hold returns the folder with the packages' files, which stays until free is called. Of several packages, layers, a
// later one's files take the place of an earlier one's.
func (c *Code) hold(ctx context.Context, refs ...blob.Ref) (dir string, free func(), err error) {
	e, err := c.enter(ctx, refs...)
	if err != nil {
		return "", nil, err
	}
	return e.dir, sync.OnceFunc(func() { c.free(e) }), nil
}

// contentSum names what packages hold together: one by its own hash, several by the hash of theirs, in order.
func contentSum(refs []blob.Ref) [32]byte {
	if len(refs) == 1 {
		return refs[0].SHA256
	}
	h := sha256.New()
	for _, ref := range refs {
		h.Write(ref.SHA256[:])
	}
	return [32]byte(h.Sum(nil))
}

// enter returns the entry of the packages, unpacked, with one more user.
func (c *Code) enter(ctx context.Context, refs ...blob.Ref) (*codeEntry, error) {
	sum := contentSum(refs)
	c.mu.Lock()
	e := c.entries[sum]
	if e == nil {
		e = &codeEntry{sum: sum, dir: filepath.Join(c.dir, hex.EncodeToString(sum[:])), done: make(chan struct{})}
		c.entries[sum] = e
		// Others may wait for it: the first one's going away does not end it.
		go c.unpack(context.WithoutCancel(ctx), e, refs)
	}
	e.users++
	if e.place != nil {
		c.unused.Remove(e.place)
		e.place = nil
	}
	c.mu.Unlock()
	select {
	case <-e.done:
	case <-ctx.Done():
		c.free(e)
		return nil, ctx.Err()
	}
	if e.err != nil {
		c.free(e)
		return nil, e.err
	}
	return e, nil
}

func (c *Code) free(e *codeEntry) {
	c.mu.Lock()
	e.users--
	if e.users == 0 && e.err == nil && c.entries[e.sum] == e {
		e.place = c.unused.PushBack(e)
	}
	gone := c.shrinkLocked()
	c.mu.Unlock()
	c.remove(gone)
}

// shrinkLocked forgets folders that nobody uses until the rest fits, and returns where they are.
func (c *Code) shrinkLocked() []string {
	var gone []string
	for c.bytes > c.limit && c.unused.Len() > 0 {
		e := c.unused.Remove(c.unused.Front()).(*codeEntry)
		delete(c.entries, e.sum)
		c.bytes -= e.bytes
		// Renamed under the lock, so that the same package may be unpacked again at once.
		old := e.dir + ".old"
		if err := os.Rename(e.dir, old); err == nil {
			gone = append(gone, old)
		}
	}
	return gone
}

func (c *Code) remove(dirs []string) {
	for _, dir := range dirs {
		if err := os.RemoveAll(dir); err != nil {
			c.log.Warn("code cache: an old folder stays", "folder", dir, "error", err)
		}
	}
}

func (c *Code) unpack(ctx context.Context, e *codeEntry, refs []blob.Ref) {
	n, err := c.unpackInto(ctx, e.dir, refs)
	c.mu.Lock()
	if e.bytes, e.err = n, err; err != nil {
		delete(c.entries, e.sum) // the next one tries again
	} else {
		c.bytes += n
	}
	gone := c.shrinkLocked()
	c.mu.Unlock()
	close(e.done)
	c.remove(gone)
}

func (c *Code) unpackInto(ctx context.Context, dir string, refs []blob.Ref) (n int64, err error) {
	tmp, err := os.MkdirTemp(c.dir, "new-")
	if err != nil {
		return 0, fmt.Errorf("code cache: %w", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(tmp)
		}
	}()
	if err := os.Chmod(tmp, 0o755); err != nil {
		return 0, fmt.Errorf("code cache: %w", err)
	}
	for _, ref := range refs {
		size, err := c.unpackOne(ctx, tmp, ref, MaxCode-n)
		if err != nil {
			return 0, err
		}
		n += size
	}
	if err := os.Rename(tmp, dir); err != nil {
		return 0, fmt.Errorf("code cache: %w", err)
	}
	return n, nil
}

func (c *Code) unpackOne(ctx context.Context, dir string, ref blob.Ref, limit int64) (int64, error) {
	b, err := c.blobs.Open(ctx, ref)
	if err != nil {
		return 0, fmt.Errorf("code %s: %w", ref, err)
	}
	defer b.Close()
	return unzip(ctx, b, ref.Size, dir, limit)
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS)
}

func isCorrupt(err error) bool {
	var bad flate.CorruptInputError
	return errors.As(err, &bad)
}
