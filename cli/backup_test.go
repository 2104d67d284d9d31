package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"lambent/backup"
	"lambent/blob"
	"lambent/check"
	"lambent/kv"
	"lambent/kv/kvtest"

	"lambent/blob/memblob"
)

var errOffline = errors.New("opened here")

func (stub) Backup(context.Context, ServeOptions, *backup.Folder, backup.Observer) (*backup.Manifest, error) {
	return nil, errOffline
}

func (stub) Restore(context.Context, ServeOptions, *backup.Folder, *backup.Manifest, backup.Observer) error {
	return errOffline
}

func (stub) Check(context.Context, ServeOptions, func(rows, blobBytes int64)) (*check.Report, error) {
	return &check.Report{Rows: 3, Findings: []check.Finding{{Room: "s3", Key: "object x", Problem: "it is bad"}}}, nil
}

// small is a cloud of a few rows and blobs that answers as the server does.
func small(t *testing.T) (http.HandlerFunc, *backup.Cloud) {
	store := kvtest.Mem(t)
	c := &backup.Cloud{Store: store, Blobs: blob.New(memblob.New(), store), Version: "1", Format: 2}
	for _, content := range []string{"one", "two"} {
		ref, err := c.Blobs.Put(t.Context(), strings.NewReader(content))
		if err == nil {
			err = store.Update(t.Context(), func(tx *kv.Tx) error { c.Blobs.Link(tx, ref, content); return nil })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "/lambent/aws4_request") {
			t.Errorf("not signed for the cloud itself: %s", r.Header.Get("Authorization"))
		}
		switch name, _ := strings.CutPrefix(r.URL.Path, "/_lambent/"); name {
		case "backup":
			if err := c.Send(r.Context(), w); err != nil {
				t.Error(err)
			}
		case "check":
			io.WriteString(w, `{"rows":1}`+"\n"+`{"report":{"rows":2,"findings":[]}}`)
		default:
			hash, _ := hex.DecodeString(strings.TrimPrefix(name, "blobs/"))
			b, err := c.Blob(r.Context(), [sha256.Size]byte(hash))
			if err != nil {
				t.Error(err)
				return
			}
			defer b.Close()
			io.Copy(w, b)
		}
	}, c
}

func TestBackup(t *testing.T) {
	cloud, _ := small(t)
	dir := filepath.Join(t.TempDir(), "b")
	code, out, errs := run(t, stub{}, cloud, "backup", dir, "--verify")
	if code != 0 || !strings.Contains(out, "2 blobs of 6 bytes") || !strings.Contains(out, "holds the cloud's keys") {
		t.Fatalf("code %d\n%s\n%s", code, out, errs)
	}
	code, out, errs = run(t, stub{}, cloud, "backup", dir, "--json")
	var s saved
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != 0 || s.Totals.Blobs != 2 || s.Done.NewPieces > 1 { // a hold's time may have changed the rows
		t.Errorf("code %d, %v\n%s\n%s", code, err, out, errs)
	}
	if code, out, _ := run(t, stub{}, nil, "backup", dir, "--list"); code != 0 || strings.Count(out, "\n") != 2 || !strings.Contains(out, s.Snapshot) {
		t.Errorf("list: code %d\n%s", code, out)
	}
	if code, out, errs := run(t, stub{}, cloud, "backup", dir, "--keep", "2"); code != 0 || !strings.Contains(out, "removed 1 older snapshots") {
		t.Errorf("keep: code %d\n%s\n%s", code, out, errs)
	}
	if code, _, errs := run(t, stub{}, cloud, "backup", dir, "--keep", "0"); code != 1 || !strings.Contains(errs, "at least one") {
		t.Errorf("keep 0: code %d, %s", code, errs)
	}
	// Without a running cloud the stores are opened here, and so they are for a restore.
	for _, args := range [][]string{{"backup", dir}, {"restore", dir}, {"restore", dir, "--at", s.Snapshot}} {
		if code, _, errs := run(t, stub{dir: t.TempDir()}, nil, args...); code != 1 || !strings.Contains(errs, errOffline.Error()) {
			t.Errorf("%v: code %d, %s", args, code, errs)
		}
	}
	for _, tt := range []struct{ args, want string }{
		{"restore " + dir + " --at x", "no such snapshot as x; it holds "},
		{"restore " + t.TempDir(), "not a backup folder"},
		{"backup " + filepath.Dir(dir), "not a backup folder"},
	} {
		if code, _, errs := run(t, stub{dir: t.TempDir()}, nil, strings.Fields(tt.args)...); code != 1 || !strings.Contains(errs, tt.want) {
			t.Errorf("%s: code %d, %s", tt.args, code, errs)
		}
	}
}

func TestStoreCheck(t *testing.T) {
	cloud, _ := small(t)
	if code, out, errs := run(t, stub{}, cloud, "store", "check"); code != 0 || !strings.Contains(out, "2 rows") || !strings.Contains(out, "nothing is wrong") {
		t.Errorf("code %d\n%s\n%s", code, out, errs)
	}
	code, out, _ := run(t, stub{dir: t.TempDir()}, nil, "store", "check")
	if code != 1 || !strings.Contains(out, "object x") || !strings.Contains(out, "1 findings") {
		t.Errorf("code %d\n%s", code, out)
	}
	code, out, _ = run(t, stub{dir: t.TempDir()}, nil, "store", "check", "--json")
	var r check.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 1 || len(r.Findings) != 1 {
		t.Errorf("code %d, %v\n%s", code, err, out)
	}
	broken := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"rows":1}{"error":"it broke"}`) }
	if code, _, errs := run(t, stub{}, broken, "store", "check"); code != 1 || !strings.Contains(errs, "it broke") {
		t.Errorf("code %d, %s", code, errs)
	}
	cut := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"rows":1}`) }
	if code, _, errs := run(t, stub{}, cut, "store", "check"); code != 1 || !strings.Contains(errs, "ended before") {
		t.Errorf("code %d, %s", code, errs)
	}
}

func TestSize(t *testing.T) {
	var b bytes.Buffer
	for _, n := range []int64{0, 999, 1000, 1_500_000, 2_000_000_000} {
		b.WriteString(size(n) + "; ")
	}
	if want := "0 bytes; 999 bytes; 1.0 kB; 1.5 MB; 2.0 GB; "; b.String() != want {
		t.Errorf("got %s", &b)
	}
}
