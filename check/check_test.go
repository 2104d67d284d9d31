package check_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lambent/blob"
	"lambent/blob/fileblob"
	"lambent/check"
	"lambent/kv"
	"lambent/kv/kvtest"
)

// rule is that of a room whose rows are blob references, named by their keys.
func rule(row kv.KV, refers func(blob.Ref, string)) error {
	if string(row.Key) == string(kv.Key("bad")) {
		return errors.New("a bad row")
	}
	ref, err := blob.ParseRef(string(row.Value))
	if err == nil {
		refers(ref, "things/"+string(row.Key))
	}
	return err
}

type cloud struct {
	check.Stores
	dir  string
	room *kv.Store
}

func newCloud(t *testing.T) *cloud {
	c := &cloud{dir: t.TempDir()}
	bucket, err := fileblob.Open(c.dir)
	must(t, err)
	c.Store, c.Bucket = kvtest.Mem(t), bucket
	c.Blobs = blob.New(bucket, c.Store.In("blob"))
	c.Rooms = []check.Room{{Name: "things", Row: rule}}
	c.room = c.Store.In("things")
	return c
}

func (c *cloud) update(t *testing.T, fn func(tx *kv.Tx)) {
	t.Helper()
	must(t, c.Store.Update(t.Context(), func(tx *kv.Tx) error { fn(tx); return nil }))
}

// put stores content under the name, in a row that refers to it.
func (c *cloud) put(t *testing.T, name, content string) blob.Ref {
	t.Helper()
	ref, err := c.Blobs.Put(t.Context(), strings.NewReader(content))
	must(t, err)
	key := kv.Key(name)
	c.update(t, func(tx *kv.Tx) {
		tx.In(c.room).Set(key, []byte(ref.String()))
		c.Blobs.Link(tx, ref, "things/"+string(key))
	})
	return ref
}

// file is where the bytes of a blob are.
func (c *cloud) file(t *testing.T, ref blob.Ref) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(c.dir, "blobs", "*", ref.String()[:64]))
	if err != nil || len(found) != 1 {
		t.Fatalf("files %v, %v", found, err)
	}
	return found[0]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(t *testing.T, c *cloud)
		want []string // of findings: room and problem
	}{
		{"nothing", func(*testing.T, *cloud) {}, nil},
		{"a row", func(t *testing.T, c *cloud) {
			c.update(t, func(tx *kv.Tx) { tx.In(c.room).Set(kv.Key("bad"), nil) })
		}, []string{"things: a bad row"}},
		{"JSON", func(t *testing.T, c *cloud) {
			c.update(t, func(tx *kv.Tx) { tx.In(c.Store.In("plain")).Set(kv.Key("x"), []byte("\x01{half")) })
		}, []string{"plain: the row is not the JSON"}},
		{"a key", func(t *testing.T, c *cloud) {
			c.update(t, func(tx *kv.Tx) { tx.In(c.Store.In("plain")).Set([]byte{0xfe}, nil) })
		}, []string{"plain: the key is no tuple"}},
		{"a reference's key", func(t *testing.T, c *cloud) {
			c.update(t, func(tx *kv.Tx) { tx.In(c.Store.In("blob").In("blob")).Set(kv.Key("ref", "x"), nil) })
		}, []string{"blob/blob: not a reference"}},
		{"a lost reference", func(t *testing.T, c *cloud) {
			ref := c.put(t, "b", "unlinked")
			c.update(t, func(tx *kv.Tx) { c.Blobs.Unlink(tx, ref, "things/"+string(kv.Key("b"))) })
		}, []string{"things: the row refers to blob"}},
		{"a reference too many", func(t *testing.T, c *cloud) {
			ref := c.put(t, "b", "twice")
			c.update(t, func(tx *kv.Tx) { c.Blobs.Link(tx, ref, "things/nobody") })
		}, []string{"blob/blob: blob"}},
		{"changed bytes", func(t *testing.T, c *cloud) {
			must(t, os.WriteFile(c.file(t, c.put(t, "b", "bytes")), []byte("bites"), 0o600))
		}, []string{"blobs: its bytes are not"}},
		{"missing bytes", func(t *testing.T, c *cloud) {
			must(t, os.Remove(c.file(t, c.put(t, "b", "bytes"))))
		}, []string{"blobs: it is missing"}},
		{"a wrong size", func(t *testing.T, c *cloud) {
			ref := c.put(t, "b", "bytes")
			ref.Size++
			c.update(t, func(tx *kv.Tx) { tx.In(c.room).Set(kv.Key("b"), []byte(ref.String())) })
		}, []string{"blobs: it has 5 bytes, its row says 6"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCloud(t)
			c.put(t, "a", "hello")
			c.put(t, "same", "hello")
			_, err := c.Blobs.Put(t.Context(), strings.NewReader("orphan"))
			must(t, err)
			tt.harm(t, c)
			for _, inPart := range []int{0, 1} {
				c.BlobsInPart = inPart
				c.examine(t, tt.want)
			}
		})
	}
}

// examine runs a check and compares what it finds.
func (c *cloud) examine(t *testing.T, want []string) {
	t.Helper()
	r, err := check.Run(t.Context(), c.Stores)
	must(t, err)
	if len(r.Findings) != len(want) || r.OK() != (len(want) == 0) {
		t.Fatalf("findings %+v, want %d", r.Findings, len(want))
	}
	for i, f := range r.Findings {
		if got := f.Room + ": " + f.Problem; !strings.HasPrefix(got, want[i]) {
			t.Errorf("got %q, want %q", got, want[i])
		}
	}
	if r.Rooms["things"] < 2 || r.References < 2 || r.Blobs < 1 || r.Orphans < 1 {
		t.Errorf("report %+v", r)
	}
}
