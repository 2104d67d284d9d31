package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"lambent/cli"
	"lambent/kv"
	"lambent/kv/kvtest"
	"lambent/kv/pgkv/pgtest"
	"lambent/upgrade"
	"lambent/wire/sigv4"
)

// command runs a command line and returns what it prints.
func command(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = cli.Run(t.Context(), cli.Deps{In: strings.NewReader(""), Out: &o, Err: &e, Server: Server{}, Version: Version}, args)
	return code, o.String(), e.String()
}

// do runs a command line that must succeed.
func do(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := command(t, args...)
	if code != 0 {
		t.Fatalf("lambent %s: code %d\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

// firstFormat copies the data folder of the first format.
func firstFormat(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	err := os.CopyFS(dir, os.DirFS("testdata/format1"))
	for _, secret := range []string{masterKeyFile, cli.RootKeyFile} { // git keeps no such modes
		err = errors.Join(err, os.Chmod(filepath.Join(dir, secret), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// object reads an object of a running cloud.
func object(t *testing.T, r cli.Running, path string) []byte {
	t.Helper()
	req, err := http.NewRequest("GET", r.Endpoint+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	key := sigv4.Credentials{AccessKeyID: r.Key.AccessKeyID, SecretAccessKey: r.Key.SecretAccessKey}
	if err := sigv4.Sign(req, key, "us-east-1", "s3", time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %s, %v\n%s", path, resp.Status, err, b)
	}
	return b
}

// examine checks that a running cloud has all that is in testdata/format1.
func examine(t *testing.T, r cli.Running, dir string) {
	t.Helper()
	if got := object(t, r, "/first-format/small"); string(got) != "hello\n" {
		t.Errorf("the small object: %q", got)
	}
	if got := object(t, r, "/first-format/big"); !bytes.Equal(got, bytes.Repeat(firstBytes(), 600)) {
		t.Errorf("the big object has %d bytes", len(got))
	}
	var o struct {
		Functions []struct{ Name string }
		Stacks    []struct{ Name, Status string }
		Rules     []struct{ Name string }
	}
	if err := json.Unmarshal([]byte(do(t, "status", "--json", "--data", dir)), &o); err != nil {
		t.Fatal(err)
	}
	if len(o.Functions) != 1 || o.Functions[0].Name != "first" || len(o.Stacks) != 1 || o.Stacks[0].Status != "CREATE_COMPLETE" || len(o.Rules) != 1 {
		t.Errorf("status %+v", o)
	}
	if out := do(t, "store", "check", "--data", dir); !strings.Contains(out, "nothing is wrong") {
		t.Error(out)
	}
}

// firstBytes are all the bytes, from 0 to 255.
func firstBytes() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// TestFirstFormat: a folder that the first version left serves, and then says its format.
func TestFirstFormat(t *testing.T) {
	dir := firstFormat(t)
	before := files(t, dir)
	if out := do(t, "store", "check", "--data", dir); !strings.Contains(out, "nothing is wrong") {
		t.Error(out)
	}
	if after := files(t, dir); after != before {
		t.Errorf("looking at the store has changed the folder from\n%s\nto\n%s", before, after)
	}
	if got := storedFormat(t, dir); got != 1 {
		t.Errorf("looking at the store has made its format %d", got)
	}
	t.Run("serve", func(t *testing.T) {
		r := start(t, cli.FlagValues{"data": dir, "listen": "127.0.0.1:0"})
		examine(t, r, dir)
	})
	if got := storedFormat(t, dir); got != upgrade.Format {
		t.Errorf("serving has left the format %d", got)
	}
}

// files tells the content of a folder.
func files(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, path))
		fmt.Fprintf(&b, "%s %x\n", path, sha256.Sum256(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// storedFormat is the format of a store that nobody serves.
func storedFormat(t *testing.T, dir string) (format int) {
	t.Helper()
	err := offline(cli.ServeOptions{Flags: cli.FlagValues{"data": dir}, LogTo: io.Discard}, func(p *cloudParts) error {
		err := p.openExisting()
		format = p.format
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return format
}

// TestBackupAndRestore copies a cloud that serves, and one that does not, and serves the copies.
func TestBackupAndRestore(t *testing.T) {
	dir, to := firstFormat(t), filepath.Join(t.TempDir(), "backup")
	do(t, "backup", to, "--data", dir)
	t.Run("serving", func(t *testing.T) {
		start(t, cli.FlagValues{"data": dir, "listen": "127.0.0.1:0"})
		if out := do(t, "backup", to, "--data", dir, "--verify"); !strings.Contains(out, "1 new pieces") { // the format is new, in one segment
			t.Error(out)
		}
	})
	var snapshots []struct{ Snapshot string }
	if err := json.Unmarshal([]byte(do(t, "backup", to, "--list", "--json")), &snapshots); err != nil || len(snapshots) != 2 {
		t.Fatalf("snapshots %v, %v", snapshots, err)
	}
	for _, s := range snapshots {
		t.Run(s.Snapshot, func(t *testing.T) {
			target := filepath.Join(t.TempDir(), "new")
			do(t, "restore", to, "--data", target, "--at", s.Snapshot)
			code, _, errs := command(t, "restore", to, "--data", target)
			if code != 1 || !strings.Contains(errs, "is not empty") {
				t.Errorf("a second restore: code %d, %s", code, errs)
			}
			for name, mode := range map[string]os.FileMode{"master-key": 0o600, cli.RootKeyFile: 0o600} {
				was, err1 := os.ReadFile(filepath.Join(dir, name))
				is, err2 := os.ReadFile(filepath.Join(target, name))
				info, err3 := os.Stat(filepath.Join(target, name))
				if err1 != nil || err2 != nil || err3 != nil || !bytes.Equal(was, is) || info.Mode().Perm() != mode {
					t.Errorf("%s: %v %v %v %v", name, err1, err2, err3, info)
				}
			}
			examine(t, start(t, cli.FlagValues{"data": target, "listen": "127.0.0.1:0"}), target)
		})
	}
}

// TestHalfRestore: a restore that was cut off, before or while the store was filled, is refused by serve and
// begun anew by restore.
func TestHalfRestore(t *testing.T) {
	dir, to := firstFormat(t), t.TempDir()
	do(t, "backup", to, "--data", dir)
	for _, half := range []func(t *testing.T, p *cloudParts){
		func(*testing.T, *cloudParts) {},
		func(t *testing.T, p *cloudParts) {
			engine, _, err := p.openEngines()
			if err != nil {
				t.Fatal(err)
			}
			defer engine.Close()
			p.store = kv.New(engine)
			if err := upgrade.BeginRestore(t.Context(), p.store); err != nil {
				t.Fatal(err)
			}
		},
	} {
		target := filepath.Join(t.TempDir(), "new")
		err := offline(cli.ServeOptions{Flags: cli.FlagValues{"data": target}, LogTo: io.Discard}, func(p *cloudParts) error {
			if err := p.data.claim(); err != nil {
				return err
			}
			half(t, p)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		refuse(t, cli.FlagValues{"data": target, "listen": "127.0.0.1:0"}, "did not end", "run lambent restore again")
		do(t, "restore", to, "--data", target)
		t.Run("serve", func(t *testing.T) {
			examine(t, start(t, cli.FlagValues{"data": target, "listen": "127.0.0.1:0"}), target)
		})
	}
}

// TestRestoreDamaged: of a backup that is not whole nothing is restored.
func TestRestoreDamaged(t *testing.T) {
	dir, to := firstFormat(t), t.TempDir()
	do(t, "backup", to, "--data", dir)
	pieces, err := filepath.Glob(filepath.Join(to, "pieces", "blobs", "*", "*"))
	if err != nil || len(pieces) == 0 {
		t.Fatal(pieces, err)
	}
	b, err := os.ReadFile(pieces[0])
	if err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if err := os.WriteFile(pieces[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "new")
	code, _, errs := command(t, "restore", to, "--data", target)
	if code != 1 || !strings.Contains(errs, "damaged") || !strings.Contains(errs, "nothing was restored") {
		t.Errorf("code %d, %s", code, errs)
	}
	if _, err := os.Stat(target); err == nil {
		t.Error("the target was made all the same")
	}
}

// TestBackupOfNothing: commands that look for a cloud where none is say so and make none.
func TestBackupOfNothing(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{"backup", filepath.Join(t.TempDir(), "b")}, {"store", "check"}} {
		code, _, errs := command(t, append(args, "--data", dir)...)
		if code != 1 || !strings.Contains(errs, dir+" holds no cloud") {
			t.Errorf("%v: code %d, %s", args, code, errs)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestOtherKeys: a store that was put into the data folder of another cloud is refused.
func TestOtherKeys(t *testing.T) {
	dir := firstFormat(t)
	t.Run("serve", func(t *testing.T) { start(t, cli.FlagValues{"data": dir, "listen": "127.0.0.1:0"}) })
	if err := os.Remove(filepath.Join(dir, masterKeyFile)); err != nil {
		t.Fatal(err)
	}
	refuse(t, cli.FlagValues{"data": dir, "listen": "127.0.0.1:0"}, "another master key", dir, "restore a backup")
}

// TestNewerStore: a store that a newer version wrote is refused by all.
func TestNewerStore(t *testing.T) {
	dir := firstFormat(t)
	err := offline(cli.ServeOptions{Flags: cli.FlagValues{"data": dir}, LogTo: io.Discard}, func(p *cloudParts) error {
		if err := p.openExisting(); err != nil {
			return err
		}
		return upgrade.Record(context.Background(), p.store, upgrade.Format+1)
	})
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, cli.FlagValues{"data": dir, "listen": "127.0.0.1:0"}, "written by a newer version", "use the newer version")
	if code, _, errs := command(t, "store", "check", "--data", dir); code != 1 || !strings.Contains(errs, "newer version") {
		t.Errorf("check: code %d, %s", code, errs)
	}
}

// TestMoveToPostgres: a cloud goes from a folder to PostgreSQL and back, by a backup each way.
func TestMoveToPostgres(t *testing.T) {
	at := os.Getenv(kvtest.StoreVariable)
	if !strings.HasPrefix(at, "postgres://") {
		server, err := pgtest.Start(t.Context(), pgtest.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := server.Close(); err != nil {
				t.Error(err)
			}
		})
		at = server.URL()
	}
	database := kvtest.Schema(t, at)
	dir, there, back := firstFormat(t), filepath.Join(t.TempDir(), "there"), filepath.Join(t.TempDir(), "back")
	to := t.TempDir()
	do(t, "backup", to, "--data", dir)
	do(t, "restore", to, "--data", there, "--store", database)
	code, _, errs := command(t, "restore", to, "--data", filepath.Join(t.TempDir(), "other"), "--store", database)
	if code != 1 || !strings.Contains(errs, "store is that of another") {
		t.Errorf("into a store in use: code %d, %s", code, errs)
	}
	if out := do(t, "store", "check", "--data", there, "--store", database); !strings.Contains(out, "nothing is wrong") {
		t.Error(out)
	}
	t.Run("serve from PostgreSQL", func(t *testing.T) {
		examine(t, start(t, cli.FlagValues{"data": there, "listen": "127.0.0.1:0", "store": database}), there)
		do(t, "backup", to, "--data", there, "--store", database)
	})
	do(t, "restore", to, "--data", back)
	t.Run("serve from a folder again", func(t *testing.T) {
		examine(t, start(t, cli.FlagValues{"data": back, "listen": "127.0.0.1:0"}), back)
	})
}

// TestBlobsInS3: a cloud whose large bytes are in a bucket of another.
func TestBlobsInS3(t *testing.T) {
	keeper := start(t, cli.FlagValues{"data": filepath.Join(t.TempDir(), "keeper"), "listen": "127.0.0.1:0"})
	put(t, keeper, "/bytes")
	dir, to, target := firstFormat(t), t.TempDir(), filepath.Join(t.TempDir(), "target")
	do(t, "backup", to, "--data", dir)
	flags := cli.FlagValues{"blobs": "s3://bytes/cloud?endpoint=" + keeper.Endpoint,
		"blobs-access-key-id": keeper.Key.AccessKeyID, "blobs-secret-access-key": keeper.Key.SecretAccessKey}
	args := []string{"--data", target}
	for name, value := range flags {
		args = append(args, "--"+name, value)
	}
	do(t, append([]string{"restore", to}, args...)...)
	if left, err := filepath.Glob(filepath.Join(target, "blobs", "*")); err != nil || len(left) > 0 {
		t.Errorf("a folder of blobs was made: %v, %v", left, err)
	}
	if out := do(t, append([]string{"store", "check"}, args...)...); !strings.Contains(out, "nothing is wrong") || !strings.Contains(out, "2 blobs") {
		t.Error(out)
	}
	flags["data"], flags["listen"] = target, "127.0.0.1:0"
	t.Run("serve", func(t *testing.T) { examine(t, start(t, flags), target) })
	delete(flags, "blobs-secret-access-key")
	refuse(t, flags, "blobs-secret-access-key")
}

// put makes a bucket of a running cloud.
func put(t *testing.T, r cli.Running, path string) {
	t.Helper()
	req, err := http.NewRequest("PUT", r.Endpoint+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	key := sigv4.Credentials{AccessKeyID: r.Key.AccessKeyID, SecretAccessKey: r.Key.SecretAccessKey}
	if err := sigv4.Sign(req, key, "us-east-1", "s3", time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatalf("%s: %s", path, resp.Status)
	}
}

// TestCheckDamaged: a store with a damaged file serves what is whole, and check says so in one line with exit code 1.
func TestCheckDamaged(t *testing.T) {
	dir := firstFormat(t)
	for range 2 { // the second start moves the log into a table
		t.Run("serve", func(t *testing.T) { start(t, cli.FlagValues{"data": dir, "listen": "127.0.0.1:0"}) })
	}
	tables, err := filepath.Glob(filepath.Join(dir, "store", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	b, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/4] ^= 0xff
	if err := os.WriteFile(tables[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := command(t, "store", "check", "--data", dir)
	if code != 1 || !strings.Contains(out, "cannot be read") || strings.Count(out, "\n") > 4 || errs != "" {
		t.Errorf("code %d\n%s\n%s", code, out, errs)
	}
	code, _, errs = command(t, "backup", filepath.Join(t.TempDir(), "b"), "--data", dir)
	if code != 1 || !strings.Contains(errs, "the store is damaged") || strings.Count(errs, "\n") != 1 {
		t.Errorf("backup: code %d\n%s", code, errs)
	}
}

// TestRoomsWithBlobs: check takes a reference to a blob that no row explains for a fault, so every room that is given
// blobs must have a rule that names those of its rows.
func TestRoomsWithBlobs(t *testing.T) {
	source, err := os.ReadFile("services.go")
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]bool{}
	for _, r := range rooms() {
		rules[r.Name] = true
	}
	for line := range strings.Lines(string(source)) {
		if !strings.Contains(line, "p.blobs") {
			continue
		}
		room := regexp.MustCompile(`p\.store\.In\("(\w+)"\)`).FindStringSubmatch(line)
		if room == nil || !rules[room[1]] {
			t.Errorf("rooms in backup.go has no rule for: %s", strings.TrimSpace(line))
		}
	}
}
