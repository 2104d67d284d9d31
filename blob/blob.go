// Package blob keeps large immutable bytes: objects, function code, layers, big payloads.
//
// A blob is named by the SHA-256 of its bytes, so equal bytes are kept once. [Store.Put] makes the bytes
// durable first; then the transaction that makes something refer to them calls [Store.Link], and the one
// that ends this calls [Store.Unlink]. References are rows in kv, one for each owner. [Store.Sweep]
// removes blobs that have none and were not put within a grace period: what was put and never linked,
// because its request or the process died, goes the same way.
//
// So a caller must link within the grace period after Put, or while another link, which its transaction
// has read, still stands.
//
// # Keys, in the room "blob"
//
//	("ref", SHA-256 bytes, owner)  empty value: owner refers to the blob
//	("hold")                       until when nothing is swept, as time.RFC3339Nano
package blob

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"lambent/blob/driver"
	"lambent/kv"
)

// ErrFull says that there is no space left for blobs.
var ErrFull = driver.ErrFull

// Ref names a blob.
type Ref struct {
	SHA256 [sha256.Size]byte
	Size   int64
}

// String returns the hexadecimal hash, a colon, and the size.
func (r Ref) String() string { return r.name() + ":" + strconv.FormatInt(r.Size, 10) }

// name is the blob's name in its bucket.
func (r Ref) name() string { return hex.EncodeToString(r.SHA256[:]) }

// IsZero says whether r names nothing.
func (r Ref) IsZero() bool { return r == Ref{} }

// ParseRef reads what String wrote.
func ParseRef(s string) (r Ref, err error) {
	hash, size, found := strings.Cut(s, ":")
	if !found || len(hash) != 2*sha256.Size || strings.ToLower(hash) != hash {
		return Ref{}, fmt.Errorf("blob: malformed reference %q", s)
	}
	if _, err := hex.Decode(r.SHA256[:], []byte(hash)); err != nil {
		return Ref{}, fmt.Errorf("blob: malformed reference %q", s)
	}
	r.Size, err = strconv.ParseInt(size, 10, 64)
	if err != nil || r.Size < 0 || strconv.FormatInt(r.Size, 10) != size {
		return Ref{}, fmt.Errorf("blob: malformed reference %q", s)
	}
	return r, nil
}

// MarshalText implements encoding.TextMarshaler. The zero Ref is empty.
func (r Ref) MarshalText() ([]byte, error) {
	if r.IsZero() {
		return nil, nil
	}
	return []byte(r.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Ref) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*r = Ref{}
		return nil
	}
	*r, err = ParseRef(string(text))
	return err
}

// Blob is an open blob. It stays readable while it is open, even if it is swept.
type Blob = driver.Object

// Store keeps blobs in a bucket and the references to them in kv.
type Store struct {
	bucket driver.Bucket
	kv     *kv.Store
}

// New returns a store over bucket that keeps its references in a room of store.
func New(bucket driver.Bucket, store *kv.Store) *Store {
	return &Store{bucket: bucket, kv: store.In("blob")}
}

// Put stores all of r. When it returns, the blob is durable, but not yet referred to. An error of r is
// returned as it is.
func (s *Store) Put(ctx context.Context, r io.Reader) (Ref, error) {
	up, err := s.bucket.Create(ctx)
	if err != nil {
		return Ref{}, err
	}
	defer up.Abort()
	var ref Ref
	hash := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(up, hash), 128<<10)
	if ref.Size, err = io.Copy(out, reader{ctx, r}); err != nil {
		return Ref{}, err
	}
	if err := out.Flush(); err != nil {
		return Ref{}, err
	}
	hash.Sum(ref.SHA256[:0])
	if err := up.Commit(ctx, ref.name()); err != nil {
		return Ref{}, err
	}
	return ref, nil
}

// reader ends when its context does.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Open opens a blob. An absent one gives fs.ErrNotExist.
func (s *Store) Open(ctx context.Context, ref Ref) (Blob, error) {
	b, err := s.bucket.Open(ctx, ref.name())
	if err != nil {
		return nil, fmt.Errorf("open blob %v: %w", ref, err)
	}
	if b.Size() != ref.Size {
		return nil, errors.Join(fmt.Errorf("open blob %v: it has %d bytes", ref, b.Size()), b.Close())
	}
	return b, nil
}

func refKey(ref Ref, owner string) []byte { return kv.Key("ref", ref.SHA256[:], owner) }

// Link records, in the caller's transaction, that owner refers to the blob. An owner is any name that is
// unique in the cloud and begins with the caller's room; linking twice is linking once.
func (s *Store) Link(tx *kv.Tx, ref Ref, owner string) {
	tx.In(s.kv).Set(refKey(ref, owner), nil)
}

// Unlink takes back Link, in the caller's transaction.
func (s *Store) Unlink(tx *kv.Tx, ref Ref, owner string) {
	tx.In(s.kv).Delete(refKey(ref, owner))
}

// Hold keeps every blob that is there until the given time, if not longer already, so that one who reads
// references can open what they name.
func (s *Store) Hold(ctx context.Context, until time.Time) error {
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		held, err := s.held(ctx, tx)
		if err != nil || !held.Before(until) {
			return err
		}
		tx.Set(holdKey, until.UTC().AppendFormat(nil, time.RFC3339Nano))
		return nil
	})
}

var holdKey = kv.Key("hold")

// held returns until when blobs are kept.
func (s *Store) held(ctx context.Context, r kv.Reader) (time.Time, error) {
	v, err := r.Get(ctx, holdKey)
	if err != nil || v == nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339Nano, string(v))
}

// Referred yields the hash of every blob that somebody refers to in an export of the store, once each.
func (s *Store) Referred(ctx context.Context, x *kv.Export) iter.Seq2[[sha256.Size]byte, error] {
	return func(yield func([sha256.Size]byte, error) bool) {
		var last [sha256.Size]byte
		for row, err := range x.In(ctx, s.kv) {
			if err != nil {
				yield(last, err)
				return
			}
			hash, _, ok := ParseRow(row.Key)
			if !ok || hash == last {
				continue
			}
			if last = hash; !yield(hash, nil) {
				return
			}
		}
	}
}

// ParseRow reads the key of a row of this room: who refers to which blob. ok is false for other rows.
func ParseRow(key []byte) (hash [sha256.Size]byte, owner string, ok bool) {
	parts, err := kv.Unkey(key)
	if err != nil || len(parts) != 3 || parts[0] != "ref" {
		return hash, "", false
	}
	b, isBytes := parts[1].([]byte)
	owner, isString := parts[2].(string)
	if !isBytes || !isString || len(b) != len(hash) {
		return hash, "", false
	}
	return [sha256.Size]byte(b), owner, true
}

// Bytes opens the blob of that hash, whatever its size.
func (s *Store) Bytes(ctx context.Context, hash [sha256.Size]byte) (Blob, error) {
	return s.bucket.Open(ctx, hex.EncodeToString(hash[:]))
}

// Sweep removes the blobs to which nobody refers and which were last put longer than grace ago, unless they
// are held. It may run beside everything else.
func (s *Store) Sweep(ctx context.Context, grace time.Duration) (removed int, err error) {
	cutoff := time.Now().Add(-grace)
	for name, err := range s.bucket.Names(ctx) {
		if err != nil {
			return removed, fmt.Errorf("sweep blobs: %w", err)
		}
		linked, err := s.linked(ctx, name)
		if err != nil {
			return removed, fmt.Errorf("sweep blobs: %w", err)
		}
		if linked {
			continue
		}
		// The references were read after the cutoff was taken: a link that was not there yet belongs to
		// a Put after the cutoff, which RemoveOlder respects.
		gone, err := s.bucket.RemoveOlder(ctx, name, cutoff)
		if err != nil {
			return removed, fmt.Errorf("sweep blobs: %w", err)
		}
		if gone {
			removed++
		}
	}
	return removed, nil
}

// linked says whether anybody refers to the blob of that name, or holds all of them.
func (s *Store) linked(ctx context.Context, name string) (found bool, err error) {
	hash, err := hex.DecodeString(name)
	if err != nil {
		return true, nil // not ours
	}
	err = s.kv.View(ctx, func(r kv.Reader) error {
		held, err := s.held(ctx, r)
		if found = held.After(time.Now()); found || err != nil {
			return err
		}
		refs := kv.Prefix("ref", hash)
		refs.Limit = 1
		entries, err := r.Scan(ctx, refs)
		found = len(entries) > 0
		return err
	})
	return found, err
}
