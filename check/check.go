// Package check walks everything that a cloud keeps and says what is wrong with it: rows whose keys or formats
// nobody could have written, references to blobs that no row explains or that are missing for a row, and
// blobs that are gone or are not what their names say. It changes nothing and may run while the cloud serves.
package check

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"lambent/blob"
	"lambent/blob/driver"
	"lambent/kv"
)

// Room says how to look at the rows of one room.
type Room struct {
	Name string // of the room; rooms in it are joined by slashes
	// Row says what is wrong with a row, whose key is without the room's prefix, and names the blobs that it
	// refers to with the owner that package blob knows it by. Nil looks at the form alone.
	Row func(row kv.KV, refers func(ref blob.Ref, owner string)) error
}

// Finding is one thing that is wrong.
type Finding struct {
	Room    string `json:"room"` // "blobs" for the bytes of blobs
	Key     string `json:"key"`  // readable, as far as it can be read
	Problem string `json:"problem"`
}

// Report is what a check has seen.
type Report struct {
	Rows       int64            `json:"rows"`
	Rooms      map[string]int64 `json:"rooms"`      // rows by room
	References int64            `json:"references"` // of rows to blobs
	Blobs      int64            `json:"blobs"`      // that are referred to, all read and hashed
	BlobBytes  int64            `json:"blobBytes"`
	Orphans    int64            `json:"orphans"`  // blobs to which nobody refers; swept in time
	Findings   []Finding        `json:"findings"` // the first maxFindings
	More       int64            `json:"more"`     // findings beyond these
}

// OK says whether nothing is wrong.
func (r *Report) OK() bool { return len(r.Findings) == 0 && r.More == 0 }

// maxFindings bounds what a report lists.
const maxFindings = 1000

func (r *Report) add(room, key, problem string, args ...any) {
	if len(r.Findings) == maxFindings {
		r.More++
		return
	}
	r.Findings = append(r.Findings, Finding{room, key, fmt.Sprintf(problem, args...)})
}

// Stores are what is looked at.
type Stores struct {
	Store  *kv.Store
	Blobs  *blob.Store
	Bucket driver.Bucket
	Rooms  []Room
	// Tell is told how many rows and bytes of blobs have been seen, now and then. It may be nil.
	Tell func(rows, blobBytes int64)
	// BlobsInPart is about how many blobs are looked at in one go over the rows: the references to them are held in
	// memory, at some hundred bytes each. 0 is 500,000.
	BlobsInPart int
}

// Run looks at everything at one moment. Its error says that it could not; what it found wrong stands in the report.
func Run(ctx context.Context, s Stores) (_ *Report, err error) {
	x, err := s.Store.Export(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	w := &walk{Stores: s, report: &Report{Rooms: map[string]int64{}, Findings: []Finding{}}, rules: map[string]Room{}}
	if w.Tell == nil {
		w.Tell = func(int64, int64) {}
	}
	for _, r := range s.Rooms {
		w.rules[r.Name] = r
	}
	if w.parts, err = w.partition(ctx, x); err != nil {
		return nil, err
	}
	for w.part = range w.parts {
		w.pairs, w.sizes = map[pair]claim{}, map[[sha256.Size]byte]int64{}
		if err := w.rows(ctx, x); err != nil {
			return nil, err
		}
		w.references()
		if err := w.blobs(ctx, x); err != nil {
			return nil, err
		}
		if err := w.orphans(ctx); err != nil {
			return nil, err
		}
	}
	return w.report, nil
}

// walk is one check under way. It holds the references of one part of all blobs in memory, by the first byte of
// their hashes, and goes over the rows once for each part; what is not about blobs it looks at in the first.
type walk struct {
	Stores
	report *Report
	rules  map[string]Room

	part, parts int
	pairs       map[pair]claim
	sizes       map[[sha256.Size]byte]int64 // of blobs, as rows say
	cut         bool                        // not all rows could be read
}

// pair is a reference: somebody who refers, and what to.
type pair struct {
	hash  [sha256.Size]byte
	owner string
}

// claim is who knows of a reference.
type claim struct {
	byRow  bool // the row that refers
	listed bool // package blob
	room   string
}

// partition counts the blobs that are referred to and says in how many parts to look at them.
func (w *walk) partition(ctx context.Context, x *kv.Export) (parts int, err error) {
	n := 0
	for _, err := range w.Blobs.Referred(ctx, x) {
		if errors.Is(err, kv.ErrDamaged) {
			break // which is found again
		}
		if err != nil {
			return 0, err
		}
		n++
	}
	return min(1+n/cmp.Or(w.BlobsInPart, 500_000), 256), nil
}

// mine says whether a hash is in the part that is being looked at.
func (w *walk) mine(firstByte byte) bool { return int(firstByte)*w.parts>>8 == w.part }

// blobRoom is the room of package blob.
const blobRoom = "blob/blob"

func (w *walk) rows(ctx context.Context, x *kv.Export) error {
	last := ""
	for row, err := range x.Rows(ctx) {
		if errors.Is(err, kv.ErrDamaged) {
			if w.part == 0 {
				w.report.add("", last, "the rows after this key cannot be read: %v", err)
			}
			w.cut = true
			return nil
		}
		if err != nil {
			return err
		}
		rooms, key, err := kv.SplitKey(row.Key)
		room := strings.Join(rooms, "/")
		if w.part == 0 {
			w.count(room)
		}
		if err != nil {
			w.addOnce("", hex.EncodeToString(row.Key), "the key is in no room")
			continue
		}
		last = room + " " + readable(key)
		w.row(room, kv.KV{Key: key, Value: row.Value})
	}
	return nil
}

func (w *walk) count(room string) {
	w.report.Rooms[room]++
	if w.report.Rows++; w.report.Rows%1000 == 0 {
		w.Tell(w.report.Rows, w.report.BlobBytes)
	}
}

// addOnce reports what every part would find.
func (w *walk) addOnce(room, key, problem string, args ...any) {
	if w.part == 0 {
		w.report.add(room, key, problem, args...)
	}
}

// row looks at one row.
func (w *walk) row(room string, row kv.KV) {
	if room == blobRoom {
		w.blobRow(row)
		return
	}
	rule := w.rules[room].Row
	if rule == nil {
		rule = plain
	}
	err := rule(row, func(ref blob.Ref, owner string) { w.refers(room, row.Key, ref, owner) })
	if err != nil {
		w.addOnce(room, readable(row.Key), "%v", err)
	}
}

// refers notes that a row refers to a blob.
func (w *walk) refers(room string, key []byte, ref blob.Ref, owner string) {
	if !w.mine(ref.SHA256[0]) {
		return
	}
	p := pair{ref.SHA256, owner}
	c := w.pairs[p]
	c.byRow, c.room = true, room
	w.pairs[p] = c
	if size, known := w.sizes[ref.SHA256]; known && size != ref.Size {
		w.report.add(room, readable(key), "it says that blob %x has %d bytes, another row says %d", ref.SHA256, ref.Size, size)
	}
	w.sizes[ref.SHA256] = ref.Size
}

func (w *walk) blobRow(row kv.KV) {
	hash, owner, ok := blob.ParseRow(row.Key)
	switch {
	case ok && len(row.Value) == 0 && !w.mine(hash[0]):
	case ok && len(row.Value) == 0:
		p := pair{hash, owner}
		c := w.pairs[p]
		c.listed = true
		w.pairs[p] = c
		w.report.References++
	case !ok && bytes.Equal(row.Key, kv.Key("hold")):
	default:
		w.addOnce(blobRoom, readable(row.Key), "not a reference to a blob")
	}
}

// plain says what is wrong with a row of a room without a rule: its key begins with a tuple, and a value that
// claims to be JSON is.
func plain(row kv.KV, _ func(blob.Ref, string)) error {
	if len(row.Key) > 0 && len(firstParts(row.Key)) == 0 {
		return errors.New("the key is no tuple")
	}
	return kv.CheckRow(row.Value)
}

// firstParts reads the parts of a key up to the first that is none.
func firstParts(key []byte) []any {
	for n := len(key); n > 0; n-- {
		if parts, err := kv.Unkey(key[:n]); err == nil {
			return parts
		}
	}
	return nil
}

// readable writes a key for people.
func readable(key []byte) string {
	parts, err := kv.Unkey(key)
	if err != nil {
		return hex.EncodeToString(key)
	}
	words := make([]string, len(parts))
	for i, p := range parts {
		switch p := p.(type) {
		case []byte:
			words[i] = hex.EncodeToString(p)
		case kv.Stamp:
			words[i] = hex.EncodeToString(p[:])
		default:
			words[i] = fmt.Sprint(p)
		}
	}
	return strings.Join(words, " ")
}

// references compares what rows refer to with what package blob knows, unless some of it could not be read.
func (w *walk) references() {
	if w.cut {
		return
	}
	for p, c := range w.pairs {
		switch {
		case c.byRow && !c.listed:
			w.report.add(c.room, p.owner, "the row refers to blob %x, which does not know of it and may be swept", p.hash)
		case c.listed && !c.byRow:
			w.report.add(blobRoom, p.owner, "blob %x is kept for a row that is not there", p.hash)
		}
	}
}

// blobs reads and hashes every blob that is referred to.
func (w *walk) blobs(ctx context.Context, x *kv.Export) error {
	for hash, err := range w.Blobs.Referred(ctx, x) {
		if errors.Is(err, kv.ErrDamaged) {
			w.addOnce(blobRoom, "", "not all references can be read: %v", err)
			return nil
		}
		if err != nil {
			return err
		}
		if !w.mine(hash[0]) {
			continue
		}
		w.report.Blobs++
		size, problem, err := w.blob(ctx, hash)
		if err != nil {
			return err
		}
		if want, known := w.sizes[hash]; problem == "" && known && want != size {
			problem = fmt.Sprintf("it has %d bytes, its row says %d", size, want)
		}
		if problem != "" {
			w.report.add("blobs", hex.EncodeToString(hash[:]), "%s", problem)
		}
		w.report.BlobBytes += size
		w.Tell(w.report.Rows, w.report.BlobBytes)
	}
	return nil
}

// blob reads one blob and says what is wrong with it.
func (w *walk) blob(ctx context.Context, hash [sha256.Size]byte) (size int64, problem string, err error) {
	b, err := w.Blobs.Bytes(ctx, hash)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, "it is missing", nil
	}
	if err != nil {
		return 0, "", err
	}
	defer b.Close()
	h := sha256.New()
	size, err = io.Copy(h, b)
	if ctx.Err() != nil {
		return size, "", ctx.Err()
	}
	if err != nil {
		return size, fmt.Sprintf("it cannot be read: %v", err), nil
	}
	if [sha256.Size]byte(h.Sum(nil)) != hash {
		return size, "its bytes are not those that its name says", nil
	}
	return size, "", nil
}

// orphans counts the blobs to which nobody refers. While a cloud serves, some may belong to rows that came later.
func (w *walk) orphans(ctx context.Context) error {
	referred := map[string]bool{}
	for p, c := range w.pairs {
		if c.listed {
			referred[hex.EncodeToString(p.hash[:])] = true
		}
	}
	for name, err := range w.Bucket.Names(ctx) {
		if err != nil {
			return err
		}
		first, err := strconv.ParseUint(name[:2], 16, 8)
		if err == nil && w.mine(byte(first)) && !referred[name] {
			w.report.Orphans++
		}
	}
	return nil
}
