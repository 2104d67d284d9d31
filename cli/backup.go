package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"lambent/backup"
)

// Where a running cloud answers its owner, and the service for which such requests are signed.
const (
	adminPath    = "/_lambent/"
	adminService = "lambent"
)

// saved is what backup and restore print for programs.
type saved struct {
	Folder   string          `json:"folder"`
	Snapshot string          `json:"snapshot"`
	Time     time.Time       `json:"time"`
	Version  string          `json:"version"`
	Totals   backup.Totals   `json:"totals"`
	Bytes    int64           `json:"bytes"` // of blobs
	Done     backup.Progress `json:"done"`
	Removed  *backup.Pruned  `json:"removed,omitempty"`
}

func backupCommand(d *Deps) *cobra.Command {
	var asJSON, verify, list bool
	var keep int
	cmd := &cobra.Command{
		Use:   "backup FOLDER",
		Short: "Copy the whole cloud, as it is at this moment, into a folder",
		Long: `Copy the whole cloud, as it is at this moment, into a folder, while it serves.

The folder is made if it is absent or empty. A second backup into the same folder adds a snapshot
and writes only what is new. A cloud that is not running can be copied as well.

A backup holds everything, the root key and the master key too: its files can be read by their
owner alone, and should be kept where that means something.`,
		Example: "  lambent backup /backup/cloud\n  lambent backup /backup/cloud --keep 14\n  lambent backup /backup/cloud --list",
		Args:    cobra.ExactArgs(1),
	}
	options := storeFlags(d, cmd)
	cmd.Flags().BoolVar(&verify, "verify", false, "read the whole snapshot again and hold every piece against its hash")
	cmd.Flags().IntVar(&keep, "keep", 0, "remove all snapshots but the newest so many afterwards, and what only they need (default all stay)")
	cmd.Flags().BoolVar(&list, "list", false, "list the snapshots in the folder and make none")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if list {
			return d.listSnapshots(args[0], asJSON)
		}
		if cmd.Flags().Changed("keep") && keep < 1 {
			return errors.New("--keep: at least one snapshot is kept")
		}
		s, err := d.backup(cmd.Context(), options(), args[0], verify, keep)
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(d.Out, s)
		}
		if s.Removed != nil {
			fmt.Fprintf(d.Out, "removed %d older snapshots and %d pieces\n", s.Removed.Snapshots, s.Removed.Pieces)
		}
		_, err = fmt.Fprintf(d.Out, "snapshot %s in %s: %d rows, %d blobs of %s; %d new pieces, %s\nit holds the cloud's keys: keep it where only you can read it\n",
			s.Snapshot, s.Folder, s.Totals.Rows, s.Totals.Blobs, size(s.Bytes), s.Done.NewPieces, size(s.Done.BytesAdded))
		return err
	}
	return cmd
}

// backup takes a snapshot, and with keep above 0 removes all but the newest so many.
func (d *Deps) backup(ctx context.Context, o ServeOptions, dir string, verify bool, keep int) (_ *saved, err error) {
	c, err := d.running(o)
	if err != nil {
		return nil, err
	}
	f, err := backup.Create(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	p := newProgress(d.Err)
	defer p.end()
	var done backup.Progress
	tell := func(now backup.Progress) { done = now; p.pieces("copied", now) }
	var m *backup.Manifest
	if c == nil {
		m, err = d.Server.Backup(ctx, o, f, tell)
	} else {
		m, err = f.Take(ctx, remote{c}, tell)
	}
	if err == nil && verify {
		err = f.Verify(ctx, m, func(now backup.Progress) { p.pieces("verified", now) })
	}
	if err != nil {
		return nil, err
	}
	s := &saved{Folder: dir, Snapshot: m.ID, Time: m.Time, Version: m.Version, Totals: m.Totals, Bytes: m.Bytes, Done: done}
	if keep > 0 {
		removed, err := f.Prune(ctx, keep)
		if err != nil {
			return nil, fmt.Errorf("the snapshot is there; removing older ones: %w", err)
		}
		s.Removed = &removed
	}
	return s, nil
}

// remote is a running cloud as a backup sees it.
type remote struct{ c *client }

// Stream implements backup.Source.
func (r remote) Stream(ctx context.Context) (io.ReadCloser, error) {
	resp, err := r.c.do(ctx, adminService, http.MethodGet, adminPath+"backup", nil, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Blob implements backup.Source.
func (r remote) Blob(ctx context.Context, hash [sha256.Size]byte) (io.ReadCloser, error) {
	resp, err := r.c.do(ctx, adminService, http.MethodGet, adminPath+"blobs/"+hex.EncodeToString(hash[:]), nil, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func (d *Deps) listSnapshots(dir string, asJSON bool) (err error) {
	f, err := backup.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	ids, err := f.Snapshots()
	if err != nil {
		return err
	}
	all := []saved{}
	for _, id := range ids {
		m, err := f.Snapshot(id)
		if err != nil {
			return err
		}
		all = append(all, saved{Folder: dir, Snapshot: m.ID, Time: m.Time, Version: m.Version, Totals: m.Totals, Bytes: m.Bytes})
	}
	if asJSON {
		return writeJSON(d.Out, all)
	}
	for _, s := range all {
		fmt.Fprintf(d.Out, "%s  %d rows, %d blobs of %s, version %s\n", s.Snapshot, s.Totals.Rows, s.Totals.Blobs, size(s.Bytes), s.Version)
	}
	return nil
}

func restoreCommand(d *Deps) *cobra.Command {
	var asJSON bool
	var at string
	cmd := &cobra.Command{
		Use:   "restore FOLDER",
		Short: "Make a cloud of a backup",
		Long: `Make a cloud of a backup, in an empty data folder and, with --store, an empty database.

Every piece is held against its hash before anything is written. A restore that is cut off leaves a
target that no server uses; run the same command again. With --store the cloud moves from a folder to
PostgreSQL, or back without it.`,
		Example: "  lambent restore /backup/cloud --data /var/lib/lambent\n  lambent restore /backup/cloud --data /var/lib/lambent --store postgres://lambent@db/lambent",
		Args:    cobra.ExactArgs(1),
	}
	options := storeFlags(d, cmd)
	cmd.Flags().StringVar(&at, "at", "", "snapshot to restore, as backup --list names it (default the newest)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o := options()
		s, err := d.restore(cmd.Context(), o, args[0], at)
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(d.Out, s)
		}
		dir, err := d.Server.Data(o)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(d.Out, "restored snapshot %s: %d rows, %d blobs of %s\nserve it: lambent serve --data %s\n",
			s.Snapshot, s.Totals.Rows, s.Totals.Blobs, size(s.Bytes), shellQuote(dir))
		return err
	}
	return cmd
}

func (d *Deps) restore(ctx context.Context, o ServeOptions, dir, at string) (_ *saved, err error) {
	f, err := backup.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	m, err := f.Snapshot(at)
	if err != nil {
		return nil, err
	}
	p := newProgress(d.Err)
	defer p.end()
	if err := f.Verify(ctx, m, func(now backup.Progress) { p.pieces("verified", now) }); err != nil {
		return nil, fmt.Errorf("%w; nothing was restored", err)
	}
	var done backup.Progress
	tell := func(now backup.Progress) { done = now; p.pieces("restored", now) }
	if err := d.Server.Restore(ctx, o, f, m, tell); err != nil {
		return nil, err
	}
	return &saved{Folder: dir, Snapshot: m.ID, Time: m.Time, Version: m.Version, Totals: m.Totals, Bytes: m.Bytes, Done: done}, nil
}

// progress is a line on a terminal that says how far something is. Elsewhere it says nothing.
type progress struct {
	w    io.Writer // nil: not a terminal
	next time.Time
	said bool
}

// progressEvery is how often the line is written anew.
const progressEvery = 200 * time.Millisecond

func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	if !ok {
		return &progress{}
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return &progress{}
	}
	return &progress{w: w}
}

func (p *progress) say(format string, args ...any) {
	now := time.Now()
	if p.w == nil || now.Before(p.next) {
		return
	}
	p.next, p.said = now.Add(progressEvery), true
	fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
}

func (p *progress) pieces(verb string, now backup.Progress) {
	blobs := fmt.Sprint(now.Blobs)
	if now.BlobsOf > 0 {
		blobs += fmt.Sprintf(" of %d", now.BlobsOf)
	}
	p.say("%s %d rows, %s blobs, %s", verb, now.Rows, blobs, size(now.Bytes))
}

// end clears the line.
func (p *progress) end() {
	if p.said {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// size writes a number of bytes for people.
func size(n int64) string {
	for _, u := range []struct {
		unit string
		n    int64
	}{{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}} {
		if n >= u.n {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.n), u.unit)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
