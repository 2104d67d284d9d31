// Package backup copies a whole cloud into a folder while it serves, and makes a cloud of such a copy again.
//
// A backup folder holds any number of snapshots, each the state of a cloud at one moment, and the pieces that
// they are made of. A piece is named by the SHA-256 of its bytes and kept once, whichever snapshots need it:
// a blob, a segment of rows, or a list of blobs. So a second backup into the same folder writes only what is
// new, and every byte can be checked against its name.
//
//	lambent-backup              text: the version of this layout; locked by the one who writes
//	snapshots/TIME-HASH.json    a Manifest, and the first digits of its hash in its name
//	pieces/                     a bucket of package fileblob
//
// Everything is synced before the manifest that needs it appears under its name; a backup that was cut off
// leaves pieces behind, which the next one uses.
//
// A snapshot holds the cloud's secrets, the root key and the master key among them. All files are readable by
// their owner alone.
package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"lambent/blob"
	"lambent/blob/driver"
	"lambent/blob/fileblob"
)

// manifestFormat is the version of the layout of the folder and of its manifests.
const manifestFormat = 1

// Names in a backup folder.
const (
	markFile     = "lambent-backup"
	markText     = "lambent backup 1\n"
	snapshotsDir = "snapshots"
	piecesDir    = "pieces"
	namesFile    = "names.tmp" // of the blobs of the backup under way
)

// Errors to branch on with errors.Is.
var (
	// ErrNotABackup says that a folder is no backup folder.
	ErrNotABackup = errors.New("not a backup folder")
	// ErrNewer says that a newer version of the program wrote the folder.
	ErrNewer = errors.New("written by a newer version of lambent")
	// ErrInUse says that another process writes the folder.
	ErrInUse = errors.New("another backup into the same folder is under way")
	// ErrNone says that a folder holds no such snapshot.
	ErrNone = errors.New("no such snapshot")
	// ErrDamaged says that a piece is missing or is not what its name says.
	ErrDamaged = errors.New("the backup is damaged")
)

// Manifest is one snapshot.
type Manifest struct {
	ID       string     `json:"-"`       // of the snapshot in its folder
	Format   int        `json:"format"`  // of this manifest
	Time     time.Time  `json:"time"`    // when the backup began
	Version  string     `json:"version"` // of the cloud's program
	Store    int        `json:"store"`   // format of the store
	Above    []byte     `json:"above"`   // a stamp greater than all in the rows
	Totals   Totals     `json:"totals"`
	Bytes    int64      `json:"bytes"` // of blobs
	Segments []blob.Ref `json:"segments"`
	Lists    []blob.Ref `json:"lists"` // pieces that name the blobs, one in a line as blob.Ref writes it
	Files    []File     `json:"files"`
}

// Folder is an open backup folder. One goroutine at a time uses it.
type Folder struct {
	dir    string
	pieces *fileblob.Bucket
	lock   *os.File
}

// Create opens the backup folder dir to write, and makes it if it is absent or empty.
func Create(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		if err := writeDurably(filepath.Join(dir, markFile), []byte(markText)); err != nil {
			return nil, err
		}
	}
	f, err := open(dir, syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	if err := f.prepare(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Folder) prepare() (err error) {
	if err := os.MkdirAll(filepath.Join(f.dir, snapshotsDir), 0o700); err != nil {
		return err
	}
	if f.pieces, err = fileblob.Open(filepath.Join(f.dir, piecesDir)); err != nil {
		return err
	}
	return syncDir(f.dir)
}

// Open opens the backup folder dir to read. It writes nothing.
func Open(dir string) (*Folder, error) {
	f, err := open(dir, syscall.LOCK_SH)
	if err != nil {
		return nil, err
	}
	f.pieces = fileblob.Reader(filepath.Join(dir, piecesDir))
	return f, nil
}

// open checks the mark and takes the lock.
func open(dir string, lock int) (*Folder, error) {
	mark, err := os.Open(filepath.Join(dir, markFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNotABackup)
	}
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(mark, 1<<10))
	if err == nil && string(text) != markText {
		err = fmt.Errorf("%s: %w", dir, ErrNotABackup)
		if strings.HasPrefix(string(text), "lambent backup ") {
			err = fmt.Errorf("%s: %w", dir, ErrNewer)
		}
	}
	if err == nil {
		err = flock(mark, lock, dir)
	}
	if err != nil {
		return nil, errors.Join(err, mark.Close())
	}
	return &Folder{dir: dir, lock: mark}, nil
}

func flock(f *os.File, how int, dir string) error {
	err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("%s: %w", dir, ErrInUse)
	}
	return err
}

// Close gives the folder back.
func (f *Folder) Close() error {
	var err error
	if f.pieces != nil {
		err = f.pieces.Close()
	}
	return errors.Join(err, f.lock.Close())
}

// Snapshots returns the ids of all snapshots, oldest first.
func (f *Folder) Snapshots() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(f.dir, snapshotsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".json"); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids) // by time
	return ids, nil
}

// Snapshot reads the manifest of a snapshot, of the newest one when id is "".
func (f *Folder) Snapshot(id string) (*Manifest, error) {
	ids, err := f.Snapshots()
	if err != nil {
		return nil, err
	}
	switch {
	case len(ids) == 0:
		return nil, fmt.Errorf("%s: %w: it holds none", f.dir, ErrNone)
	case id == "":
		id = ids[len(ids)-1]
	case !slices.Contains(ids, id):
		return nil, fmt.Errorf("%s: %w as %s; it holds %s", f.dir, ErrNone, id, strings.Join(ids, ", "))
	}
	b, err := os.ReadFile(filepath.Join(f.dir, snapshotsDir, id+".json"))
	if err != nil {
		return nil, err
	}
	if want := id[strings.LastIndexByte(id, '-')+1:]; want != digest(b) {
		return nil, fmt.Errorf("%w: the manifest of snapshot %s is not what its name says", ErrDamaged, id)
	}
	m := &Manifest{ID: id}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%w: the manifest of snapshot %s: %w", ErrDamaged, id, err)
	}
	if m.Format > manifestFormat {
		return nil, fmt.Errorf("snapshot %s: %w", id, ErrNewer)
	}
	return m, nil
}

// digest is the part of a manifest's name that comes from its content.
func digest(manifest []byte) string {
	sum := sha256.Sum256(manifest)
	return hex.EncodeToString(sum[:8])
}

// save writes the manifest, which makes the snapshot exist.
func (f *Folder) save(m *Manifest) error {
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	m.ID = m.Time.UTC().Format("20060102T150405.000Z") + "-" + digest(b)
	return writeDurably(filepath.Join(f.dir, snapshotsDir, m.ID+".json"), b)
}

// put stores a piece unless it is there.
func (f *Folder) put(ctx context.Context, content []byte) (ref blob.Ref, written bool, err error) {
	ref = blob.Ref{SHA256: sha256.Sum256(content), Size: int64(len(content))}
	if size, err := f.has(ctx, ref.SHA256); err != nil || size == ref.Size {
		return ref, false, err
	}
	return ref, true, copyTo(ctx, f.pieces, bytes.NewReader(content), ref.SHA256, ref.Size)
}

// has returns the size of a piece, -1 when it is absent.
func (f *Folder) has(ctx context.Context, hash [sha256.Size]byte) (int64, error) {
	o, err := f.pieces.Open(ctx, hex.EncodeToString(hash[:]))
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	return o.Size(), o.Close()
}

// copyTo stores the bytes of r in a bucket, when they are those that the hash names. A size of -1 is any.
func copyTo(ctx context.Context, bucket driver.Bucket, r io.Reader, hash [sha256.Size]byte, size int64) (err error) {
	up, err := bucket.Create(ctx)
	if err != nil {
		return err
	}
	defer up.Abort()
	h := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(up, h), onlyReader{r}, make([]byte, 256<<10))
	if err != nil {
		return err
	}
	name := hex.EncodeToString(hash[:])
	if [sha256.Size]byte(h.Sum(nil)) != hash || size >= 0 && n != size {
		return fmt.Errorf("%w: piece %s is not what its name says", ErrDamaged, name)
	}
	return up.Commit(ctx, name)
}

// onlyReader keeps io.Copy to its buffer.
type onlyReader struct{ io.Reader }

// piece opens a piece that a manifest names.
func (f *Folder) piece(ctx context.Context, ref blob.Ref) (driver.Object, error) {
	o, err := f.pieces.Open(ctx, hex.EncodeToString(ref.SHA256[:]))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: piece %v is missing", ErrDamaged, ref)
	}
	if err != nil {
		return nil, err
	}
	if o.Size() != ref.Size {
		return nil, errors.Join(fmt.Errorf("%w: piece %v has %d bytes", ErrDamaged, ref, o.Size()), o.Close())
	}
	return o, nil
}

// read reads a piece into memory and checks it.
func (f *Folder) read(ctx context.Context, ref blob.Ref) ([]byte, error) {
	o, err := f.piece(ctx, ref)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(o)
	if err := errors.Join(err, o.Close()); err != nil {
		return nil, err
	}
	if sha256.Sum256(b) != ref.SHA256 {
		return nil, fmt.Errorf("%w: piece %v is not what its name says", ErrDamaged, ref)
	}
	return b, nil
}

// writeDurably writes a file that appears whole, readable by its owner alone.
func writeDurably(file string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // in case of an error; after the rename there is nothing to remove
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err == nil {
		err = syncDir(filepath.Dir(file))
	}
	return err
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
