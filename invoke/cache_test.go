package invoke

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"lambent/blob"
	"lambent/blob/blobtest"
	"lambent/kv/kvtest"
)

func TestCodeCache(t *testing.T) {
	blobs := blobtest.Mem(t, kvtest.Mem(t))
	put := func(content string) blob.Ref {
		data := archive(t, "index.js", content)
		ref, err := blobs.Put(t.Context(), bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	dir := filepath.Join(t.TempDir(), "code")
	open := func() *Code {
		c, err := OpenCode(blobs, dir, 1500, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	c := open()
	a, b := put(strings.Repeat("a", 1000)), put(strings.Repeat("b", 1000))

	var group sync.WaitGroup
	frees := make(chan func(), 8)
	for range 8 { // all at once: unpacked once
		group.Go(func() {
			_, free, err := c.hold(t.Context(), a)
			if err != nil {
				t.Error(err)
				return
			}
			frees <- free
		})
	}
	group.Wait()
	dirA, freeA, err := c.hold(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	dirB, freeB, err := c.hold(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	there := func(dir string) bool { _, err := os.Stat(filepath.Join(dir, "index.js")); return err == nil }
	if !there(dirA) || !there(dirB) {
		t.Error("a folder in use was removed for want of space")
	}
	close(frees)
	for free := range frees {
		free()
		free() // once is enough
	}
	if !there(dirA) {
		t.Error("a folder was removed while it had a user")
	}
	freeA()
	if there(dirA) {
		t.Error("a folder that nobody uses stays over the limit")
	}
	freeB()
	if !there(dirB) {
		t.Error("a folder that fits was removed")
	}
	if dirA, freeA, err = c.hold(t.Context(), a); err != nil || !there(dirA) {
		t.Errorf("unpacking again: %v", err)
	}
	freeA()

	c = open()
	c.Close()
	left, _ := os.ReadDir(filepath.Dir(dir))
	if len(left) != 1 || there(dirB) {
		t.Errorf("a new start keeps %v", left)
	}
}
