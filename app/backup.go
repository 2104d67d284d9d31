package app

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lambent/backup"
	"lambent/blob"
	"lambent/check"
	"lambent/cli"
	"lambent/gateway"
	"lambent/kv"
	"lambent/service/lambda"
	"lambent/service/logs"
	"lambent/service/s3"
	"lambent/upgrade"
)

// rooms say how to look at rows that are more than JSON, or that refer to blobs.
func rooms() []check.Room {
	return []check.Room{
		{Name: "lambda", Row: lambda.CheckRow},
		{Name: "logs", Row: logs.CheckRow},
		{Name: "s3", Row: s3.CheckRow},
	}
}

// cloud is what a backup copies.
func (p *cloudParts) cloud() (*backup.Cloud, error) {
	files, err := p.data.secrets()
	return &backup.Cloud{Store: p.store, Blobs: p.blobs, Files: files, Version: Version, Format: p.format}, err
}

// secrets reads the files without which the store is of no use: keys and certificates.
func (d dataFolder) secrets() (files []backup.File, err error) {
	for _, name := range sharedFiles {
		err := filepath.WalkDir(filepath.Join(d.path, name), func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a cloud with a store of its own has no name
			}
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			f, err := d.secret(path)
			files = append(files, f)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

func (d dataFolder) secret(path string) (backup.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return backup.File{}, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return backup.File{}, err
	}
	name, err := filepath.Rel(d.path, path)
	return backup.File{Path: filepath.ToSlash(name), Mode: uint32(info.Mode().Perm()), Content: content}, err
}

// admin answers what the commands ask of a running cloud with the root key.
func (p *cloudParts) admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+gateway.AdminPath+"backup", p.serveBackup)
	mux.HandleFunc("GET "+gateway.AdminPath+"blobs/{hash}", p.serveBlob)
	mux.HandleFunc("GET "+gateway.AdminPath+"check", p.serveCheck)
	return mux
}

func (p *cloudParts) serveBackup(w http.ResponseWriter, r *http.Request) {
	c, err := p.cloud()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if err := c.Send(r.Context(), w); err != nil && r.Context().Err() == nil {
		p.log.Error("backup", "error", err) // the stream says so as well
	}
}

func (p *cloudParts) serveBlob(w http.ResponseWriter, r *http.Request) {
	hash, err := hex.DecodeString(r.PathValue("hash"))
	if err != nil || len(hash) != len(blob.Ref{}.SHA256) {
		http.Error(w, "not a hash", http.StatusBadRequest)
		return
	}
	c := &backup.Cloud{Store: p.store, Blobs: p.blobs}
	b, err := c.Blob(r.Context(), blob.Ref{SHA256: [32]byte(hash)}.SHA256)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		http.Error(w, "there is no such blob", http.StatusNotFound)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer b.Close()
	if _, err := io.Copy(w, b); err != nil {
		panic(http.ErrAbortHandler) // the client must not take a part for the whole
	}
}

// serveCheck writes a line of JSON now and then, {"rows":…,"blobBytes":…}, and at last {"report":…} or {"error":…}.
func (p *cloudParts) serveCheck(w http.ResponseWriter, r *http.Request) {
	out := json.NewEncoder(w)
	var next time.Time
	report, err := p.check(r.Context(), func(rows, blobBytes int64) {
		if now := time.Now(); now.After(next) {
			next = now.Add(time.Second)
			_ = out.Encode(cli.CheckLine{Rows: rows, BlobBytes: blobBytes})
			_ = http.NewResponseController(w).Flush()
		}
	})
	line := cli.CheckLine{Report: report}
	if err != nil {
		line.Error = err.Error()
	}
	_ = out.Encode(line)
}

func (p *cloudParts) check(ctx context.Context, tell func(rows, blobBytes int64)) (*check.Report, error) {
	return check.Run(ctx, check.Stores{Store: p.store, Blobs: p.blobs, Bucket: p.bucket, Rooms: rooms(), Tell: tell})
}

// offline opens the stores of a cloud that this process does not serve, runs fn, and closes them.
func offline(o cli.ServeOptions, fn func(p *cloudParts) error) (err error) {
	l, err := Load(o.Flags, os.LookupEnv, o.ConfigFile)
	if err != nil {
		return err
	}
	if l.Memory {
		return errors.New("a cloud in memory keeps nothing that could be copied, checked or restored")
	}
	if l.Config.Data, err = filepath.Abs(l.Config.Data); err != nil {
		return err
	}
	p := &cloudParts{config: &l.Config, log: newLog(&l.Config, o.LogTo), data: dataFolder{path: l.Config.Data}}
	defer func() {
		for _, c := range backward(p.closers) {
			err = errors.Join(err, c())
		}
	}()
	return fn(p)
}

// openExisting opens the stores of a cloud that is there, and leaves them in their format.
func (p *cloudParts) openExisting() error {
	if _, err := os.Stat(filepath.Join(p.data.path, masterKeyFile)); err != nil {
		return fmt.Errorf("%s holds no cloud: %w", p.data.path, err)
	}
	if err := p.data.refuseHalf(); err != nil {
		return err
	}
	return p.openStoresIn(upgrade.Read)
}

// Backup implements cli.Server.
func (Server) Backup(ctx context.Context, o cli.ServeOptions, to *backup.Folder, tell backup.Observer) (m *backup.Manifest, err error) {
	err = offline(o, func(p *cloudParts) error {
		if err := p.openExisting(); err != nil {
			return err
		}
		c, err := p.cloud()
		if err != nil {
			return err
		}
		m, err = to.Take(ctx, c, tell)
		return err
	})
	return m, err
}

// Check implements cli.Server.
func (Server) Check(ctx context.Context, o cli.ServeOptions, tell func(rows, blobBytes int64)) (r *check.Report, err error) {
	err = offline(o, func(p *cloudParts) error {
		p.readOnly = true
		if err := p.openExisting(); err != nil {
			return err
		}
		r, err = p.check(ctx, tell)
		return err
	})
	return r, err
}

// restoringFile stands in a data folder while a restore into it has not ended.
const restoringFile = "restoring"

// refuseHalf says no to a data folder into which a restore has not ended.
func (d dataFolder) refuseHalf() error {
	_, err := os.Stat(filepath.Join(d.path, restoringFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return explainHalf(d.path)
}

func explainHalf(path string) error {
	return fmt.Errorf("a restore into %s did not end, so what is there is not whole; run lambent restore again, with the same target", path)
}

// Restore implements cli.Server.
func (Server) Restore(ctx context.Context, o cli.ServeOptions, from *backup.Folder, m *backup.Manifest, tell backup.Observer) error {
	if m.Store > upgrade.Format {
		return fmt.Errorf("%w: the backup is of format %d, this version knows %d; use the newer version", upgrade.ErrNewer, m.Store, upgrade.Format)
	}
	err := offline(o, func(p *cloudParts) error {
		if err := p.data.claim(); err != nil {
			return err
		}
		return p.restore(ctx, from, m, tell)
	})
	if err != nil {
		return err
	}
	return offline(o, func(p *cloudParts) error { return p.data.release() })
}

// restore puts a snapshot into a claimed data folder and the stores that the settings name.
func (p *cloudParts) restore(ctx context.Context, from *backup.Folder, m *backup.Manifest, tell backup.Observer) error {
	if err := m.WriteFiles(p.data.path); err != nil {
		return explainWrite(p.data.path, err)
	}
	engine, bucket, err := p.openEngines()
	if err != nil {
		return err
	}
	store := kv.New(engine)
	p.onClose(store.Close)
	if err := upgrade.BeginRestore(ctx, store); err != nil {
		return err
	}
	if err := from.Restore(ctx, m, store, bucket, tell); err != nil {
		return fmt.Errorf("%w; what is there is not whole and will not be served: run the same command again once this is mended", err)
	}
	return upgrade.EndRestore(ctx, store)
}

// claim marks a data folder as the target of a restore. It must be absent or empty, or marked already.
func (d dataFolder) claim() error {
	if err := os.MkdirAll(d.path, 0o711); err != nil {
		return fmt.Errorf("data folder: %w; name another with --data", err)
	}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		switch e.Name() {
		case restoringFile:
			return nil
		case "lost+found": // of a disk of its own
		default:
			names = append(names, e.Name())
		}
	}
	if len(names) > 0 {
		return fmt.Errorf("%s is not empty: it holds %s; name an empty folder with --data, nothing was changed", d.path, strings.Join(names, ", "))
	}
	return writeDurably(filepath.Join(d.path, restoringFile), nil, 0o600)
}

// release takes the mark away: the restore is whole.
func (d dataFolder) release() error {
	return errors.Join(os.Remove(filepath.Join(d.path, restoringFile)), syncFolder(d.path))
}
