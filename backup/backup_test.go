package backup_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lambent/backup"
	"lambent/blob"
	"lambent/blob/memblob"
	"lambent/kv"
	"lambent/kv/kvtest"
)

// cloud is a small cloud in memory.
type cloud struct {
	backup.Cloud
	bucket *memblob.Bucket
	room   *kv.Store
}

func newCloud(t testing.TB) *cloud {
	t.Helper()
	c := &cloud{bucket: memblob.New()}
	c.Store = kvtest.Mem(t)
	c.Blobs = blob.New(c.bucket, c.Store.In("blob"))
	c.Version, c.Format = "1.2.3", 2
	c.Files = []backup.File{{Path: "master-key", Mode: 0o600, Content: []byte("secret")}, {Path: "ca/ca.pem", Mode: 0o644, Content: []byte("cert")}}
	c.room = c.Store.In("things")
	return c
}

// put stores a blob and a row that refers to it.
func (c *cloud) put(t testing.TB, name, content string) blob.Ref {
	t.Helper()
	ref, err := c.Blobs.Put(t.Context(), strings.NewReader(content))
	must(t, err)
	must(t, c.room.Update(t.Context(), func(tx *kv.Tx) error {
		tx.Set(kv.Key(name), []byte(ref.String()))
		c.Blobs.Link(tx, ref, "things/"+name)
		return nil
	}))
	return ref
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// take makes a snapshot and returns it with what was told last.
func take(t testing.TB, dir string, from backup.Source) (*backup.Manifest, backup.Progress) {
	t.Helper()
	f, err := backup.Create(dir)
	must(t, err)
	defer f.Close()
	var last backup.Progress
	m, err := f.Take(t.Context(), from, func(p backup.Progress) { last = p })
	must(t, err)
	return m, last
}

func quiet(backup.Progress) {}

// restore makes a cloud of a snapshot.
func restore(t testing.TB, dir, id string) *cloud {
	t.Helper()
	f, err := backup.Open(dir)
	must(t, err)
	defer f.Close()
	m, err := f.Snapshot(id)
	must(t, err)
	must(t, f.Verify(t.Context(), m, quiet))
	c := newCloud(t)
	must(t, f.Restore(t.Context(), m, c.Store, c.bucket, quiet))
	return c
}

// rows returns all rows of a store.
func rows(t testing.TB, s *kv.Store) (out []string) {
	t.Helper()
	x, err := s.Export(t.Context())
	must(t, err)
	defer x.Close()
	for row, err := range x.Rows(t.Context()) {
		must(t, err)
		out = append(out, fmt.Sprintf("%x=%x", row.Key, row.Value))
	}
	return out
}

func (c *cloud) read(t testing.TB, ref blob.Ref) string {
	t.Helper()
	b, err := c.Blobs.Open(t.Context(), ref)
	if errors.Is(err, fs.ErrNotExist) {
		return "absent"
	}
	must(t, err)
	defer b.Close()
	content, err := io.ReadAll(b)
	must(t, err)
	return string(content)
}

func TestRoundTrip(t *testing.T) {
	c := newCloud(t)
	large := strings.Repeat("0123456789", 200_000)
	refs := map[blob.Ref]string{c.put(t, "a", "hello"): "hello", c.put(t, "b", large): large, c.put(t, "empty", ""): ""}
	must(t, c.room.Update(t.Context(), func(tx *kv.Tx) error {
		for i := range 5000 {
			tx.Set(kv.Key("row", i), bytes.Repeat([]byte{byte(i)}, 300))
		}
		tx.SetStamped(kv.Key("stream"), nil, []byte("stamped"))
		return nil
	}))
	orphan, err := c.Blobs.Put(t.Context(), strings.NewReader("orphan"))
	must(t, err)
	dir := filepath.Join(t.TempDir(), "backup")
	m, p := take(t, dir, c)
	if p.Blobs != 3 || p.BlobsOf != 3 || p.Rows != m.Totals.Rows || m.Store != 2 || m.Version != "1.2.3" {
		t.Errorf("progress %+v, manifest %+v", p, m)
	}
	want := rows(t, c.Store)
	r := restore(t, dir, "")
	got := rows(t, r.Store)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%d rows restored, want %d", len(got), len(want))
	}
	for ref, content := range refs {
		if got := r.read(t, ref); got != content {
			t.Errorf("blob %v has %d bytes, want %d", ref, len(got), len(content))
		}
	}
	if got := r.read(t, orphan); got != "absent" {
		t.Errorf("the blob that nobody refers to is there")
	}
	target := t.TempDir()
	must(t, m.WriteFiles(target))
	for name, mode := range map[string]os.FileMode{"master-key": 0o600, "ca/ca.pem": 0o644} {
		info, err := os.Stat(filepath.Join(target, name))
		must(t, err)
		if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), mode)
		}
	}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		info, infoErr := d.Info()
		if infoErr == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s of the backup can be read by others: %v", path, info.Mode())
		}
		return errors.Join(err, infoErr)
	}))
}

// TestIncremental: a second snapshot writes what is new, and the first stays as it was.
func TestIncremental(t *testing.T) {
	c := newCloud(t)
	for i := range 300 { // rows of 2 MB: several segments
		must(t, c.room.Update(t.Context(), func(tx *kv.Tx) error {
			for j := range 20 {
				tx.Set(kv.Key("row", i, j), bytes.Repeat([]byte{byte(i)}, 350))
			}
			return nil
		}))
	}
	first := c.put(t, "first", strings.Repeat("first", 100_000))
	dir := t.TempDir()
	m1, p1 := take(t, dir, c)
	before := rows(t, c.Store)
	if len(m1.Segments) < 4 {
		t.Fatalf("%d segments: too few to tell", len(m1.Segments))
	}
	second := c.put(t, "second", strings.Repeat("second", 10_000))
	_, p2 := take(t, dir, c)
	if p2.Blobs != 2 || p2.NewPieces > 5 || p2.BytesAdded > p1.BytesAdded/2 {
		t.Errorf("first %+v, second %+v", p1, p2)
	}
	_, p3 := take(t, dir, c)
	if p3.BytesAdded > p1.BytesAdded/2 {
		t.Errorf("nothing changed, and %+v", p3)
	}
	if got := rows(t, restore(t, dir, m1.ID).Store); strings.Join(got, "\n") != strings.Join(before, "\n") {
		t.Error("the first snapshot has changed")
	}
	r := restore(t, dir, "")
	if r.read(t, first) == "absent" || r.read(t, second) == "absent" {
		t.Error("a blob is missing in the last snapshot")
	}
	f, err := backup.Open(dir)
	must(t, err)
	defer f.Close()
	if ids, err := f.Snapshots(); err != nil || len(ids) != 3 || ids[0] != m1.ID {
		t.Errorf("snapshots %v, %v", ids, err)
	}
	if _, err := f.Snapshot("x"); !errors.Is(err, backup.ErrNone) {
		t.Errorf("an unknown snapshot: %v", err)
	}
}

// TestWhileServing: what a snapshot holds is one moment, and all that its rows refer to is there, though others
// write, replace and sweep meanwhile.
func TestWhileServing(t *testing.T) {
	c := newCloud(t)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				content := fmt.Sprintf("%d/%d", w, i)
				ref, err := c.Blobs.Put(ctx, strings.NewReader(content))
				if err != nil {
					return
				}
				_ = c.room.Update(ctx, func(tx *kv.Tx) error {
					key := kv.Key("w", w)
					old, err := tx.Get(ctx, key)
					if err != nil {
						return err
					}
					if old != nil {
						was, err := blob.ParseRef(string(old))
						if err != nil {
							return err
						}
						c.Blobs.Unlink(tx, was, fmt.Sprint("w", w))
					}
					tx.Set(key, []byte(ref.String()))
					tx.Set(kv.Key("twin", w), []byte(ref.String()))
					c.Blobs.Link(tx, ref, fmt.Sprint("w", w))
					return nil
				})
			}
		})
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			_, _ = c.Blobs.Sweep(ctx, time.Millisecond) // far less than grace: only the hold protects
		}
	})
	dir := t.TempDir()
	for range 10 {
		must(t, c.Blobs.Hold(t.Context(), time.Now().Add(time.Hour))) // the writers above need more grace than a millisecond
		m, _ := take(t, dir, c)
		r := restore(t, dir, m.ID)
		must(t, r.room.View(t.Context(), func(v kv.Reader) error {
			for w := range 4 {
				values, err := v.GetAll(t.Context(), kv.Key("w", w), kv.Key("twin", w))
				must(t, err)
				if !bytes.Equal(values[0], values[1]) {
					t.Errorf("half a transaction: %s and %s", values[0], values[1])
				}
				if values[0] == nil {
					continue
				}
				ref, err := blob.ParseRef(string(values[0]))
				must(t, err)
				if got := r.read(t, ref); !strings.HasPrefix(got, fmt.Sprint(w, "/")) {
					t.Errorf("writer %d: blob %v is %s", w, ref, got)
				}
			}
			return nil
		}))
	}
	stop()
	wg.Wait()
}

// TestDamage: a piece or manifest that was changed, cut or lost is noticed.
func TestDamage(t *testing.T) {
	c := newCloud(t)
	c.put(t, "a", "hello")
	for _, what := range []string{"change", "cut", "lose"} {
		source := t.TempDir()
		take(t, source, c)
		var files []string
		must(t, filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
			if !d.IsDir() && filepath.Base(filepath.Dir(path)) != "locks" {
				files = append(files, path)
			}
			return err
		}))
		if len(files) != 5 { // mark, manifest, segment, list, blob
			t.Fatalf("files %v", files)
		}
		for _, path := range files {
			content, err := os.ReadFile(path)
			must(t, err)
			switch what {
			case "change":
				changed := bytes.Clone(content)
				changed[len(changed)/2] ^= 1
				must(t, os.WriteFile(path, changed, 0o600))
			case "cut":
				must(t, os.WriteFile(path, content[:len(content)-1], 0o600))
			case "lose":
				must(t, os.Remove(path))
			}
			err = check(t, source)
			if !errors.Is(err, backup.ErrDamaged) && !errors.Is(err, backup.ErrNotABackup) && !errors.Is(err, backup.ErrNone) && !errors.Is(err, backup.ErrNewer) {
				t.Errorf("%s %s: got %v", what, path, err)
			}
			must(t, os.WriteFile(path, content, 0o600))
		}
		must(t, check(t, source))
	}
}

func check(t *testing.T, dir string) error {
	f, err := backup.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	m, err := f.Snapshot("")
	if err != nil {
		return err
	}
	return f.Verify(t.Context(), m, quiet)
}

func TestFolders(t *testing.T) {
	stranger := t.TempDir()
	must(t, os.WriteFile(filepath.Join(stranger, "x"), nil, 0o600))
	if _, err := backup.Create(stranger); !errors.Is(err, backup.ErrNotABackup) {
		t.Errorf("a folder with something else in it: %v", err)
	}
	if _, err := backup.Open(t.TempDir()); !errors.Is(err, backup.ErrNotABackup) {
		t.Errorf("an empty folder: %v", err)
	}
	dir := t.TempDir()
	f, err := backup.Create(dir)
	must(t, err)
	if _, err := backup.Create(dir); !errors.Is(err, backup.ErrInUse) {
		t.Errorf("a second backup at once: %v", err)
	}
	must(t, f.Close())
	must(t, os.WriteFile(filepath.Join(dir, "lambent-backup"), []byte("lambent backup 2\n"), 0o600))
	if _, err := backup.Open(dir); !errors.Is(err, backup.ErrNewer) {
		t.Errorf("a newer folder: %v", err)
	}
}

// broken is a source whose stream ends early, or whose blobs are not what they should be.
type broken struct {
	backup.Source
	cut  int
	lies bool
}

func (b broken) Stream(ctx context.Context) (io.ReadCloser, error) {
	r, err := b.Source.Stream(ctx)
	if err != nil || b.cut == 0 {
		return r, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(r, int64(b.cut)), r}, nil
}

func (b broken) Blob(ctx context.Context, hash [sha256.Size]byte) (io.ReadCloser, error) {
	if b.lies {
		return io.NopCloser(strings.NewReader("something else")), nil
	}
	return b.Source.Blob(ctx, hash)
}

// TestBrokenSource: of a cloud that does not tell all, no snapshot is made.
func TestBrokenSource(t *testing.T) {
	c := newCloud(t)
	c.put(t, "a", "hello")
	var whole bytes.Buffer
	must(t, c.Send(t.Context(), &whole))
	dir := t.TempDir()
	f, err := backup.Create(dir)
	must(t, err)
	defer f.Close()
	for cut := 1; cut < whole.Len(); cut++ {
		if _, err := f.Take(t.Context(), broken{Source: c, cut: cut}, quiet); err == nil {
			t.Fatalf("a stream cut off after %d of %d bytes made a snapshot", cut, whole.Len())
		}
	}
	if _, err := f.Take(t.Context(), broken{Source: c, lies: true}, quiet); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("a blob that is not what its name says: %v", err)
	}
	if ids, err := f.Snapshots(); err != nil || len(ids) != 0 {
		t.Errorf("snapshots %v, %v", ids, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "names.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestPrune: what the snapshots that stay need stays, all else goes.
func TestPrune(t *testing.T) {
	c := newCloud(t)
	dir := t.TempDir()
	var ids []string
	var refs []blob.Ref
	for _, content := range []string{"first", "second", "third"} {
		refs = append(refs, c.put(t, "same name", content))
		m, _ := take(t, dir, c)
		ids = append(ids, m.ID)
		must(t, c.Store.Update(t.Context(), func(tx *kv.Tx) error {
			c.Blobs.Unlink(tx, refs[len(refs)-1], "things/same name")
			return nil
		}))
	}
	f, err := backup.Create(dir)
	must(t, err)
	if _, err := f.Prune(t.Context(), 0); err == nil {
		t.Error("nothing was to be kept, and no error")
	}
	for range 2 {
		p, err := f.Prune(t.Context(), 2)
		must(t, err)
		t.Logf("%+v", p)
	}
	if left, err := f.Snapshots(); err != nil || len(left) != 2 || left[0] != ids[1] {
		t.Errorf("left: %v, %v", left, err)
	}
	must(t, f.Close())
	if found, _ := filepath.Glob(filepath.Join(dir, "pieces", "blobs", "*", refs[0].String()[:64])); len(found) > 0 {
		t.Error("the first blob is still there")
	}
	for i, id := range ids[1:] {
		if got := restore(t, dir, id).read(t, refs[i+1]); got == "absent" {
			t.Errorf("snapshot %s has lost its blob", id)
		}
	}
}
