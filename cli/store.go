package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"lambent/check"
)

func storeCommand(d *Deps) *cobra.Command {
	cmd := &cobra.Command{Use: "store", Short: "Look after what the cloud keeps"}
	cmd.AddCommand(checkCommand(d))
	return cmd
}

func checkCommand(d *Deps) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Walk every row and blob and say what is wrong",
		Long: `Walk every row and blob of a cloud and say what is wrong: keys and rows of a form that nobody writes,
references to blobs without a row or rows without their reference, and blobs that are missing or are
not what their names say. It changes nothing. A cloud that is running is asked to look at itself;
the store of one that is not is opened here.

The exit code is 0 when nothing is wrong and 1 otherwise.`,
		Args: cobra.NoArgs,
	}
	options := storeFlags(d, cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p := newProgress(d.Err)
		tell := func(rows, blobBytes int64) { p.say("%d rows, %s of blobs", rows, size(blobBytes)) }
		report, err := d.check(cmd.Context(), options(), tell)
		p.end()
		if err != nil {
			return err
		}
		if asJSON {
			err = writeJSON(d.Out, report)
		} else {
			err = writeReport(d.Out, report)
		}
		if err == nil && !report.OK() {
			err = ExitError(1)
		}
		return err
	}
	return cmd
}

// storeFlags declares the settings that say where a cloud keeps its state.
func storeFlags(d *Deps, cmd *cobra.Command) func() ServeOptions {
	names := []string{"data", "store", "blobs", "blobs-access-key-id", "blobs-secret-access-key"}
	d.Server.EachSetting(func(name, def, help string) {
		if slices.Contains(names, name) {
			cmd.Flags().VarPF(&anyValue{}, name, "", help).DefValue = def
		}
	})
	file := cmd.Flags().String("config", "", "YAML file of settings")
	return func() ServeOptions {
		o := ServeOptions{Flags: FlagValues{}, ConfigFile: *file, LogTo: d.Err}
		for _, name := range names {
			if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
				o.Flags[name] = f.Value.String()
			}
		}
		return o
	}
}

// running returns a client of the cloud that serves the data folder, nil when none does.
func (d *Deps) running(o ServeOptions) (*client, error) {
	dir, err := d.Server.Data(o)
	if err != nil {
		return nil, err
	}
	r, err := find(dir)
	if err != nil {
		return nil, nil // who opens the stores instead sees what else is wrong
	}
	return d.client(r), nil
}

func (d *Deps) check(ctx context.Context, o ServeOptions, tell func(rows, blobBytes int64)) (*check.Report, error) {
	c, err := d.running(o)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return d.Server.Check(ctx, o, tell)
	}
	return c.check(ctx, tell)
}

// CheckLine is a line of what a running cloud answers: how far it is, or at last the report or why there is none.
type CheckLine struct {
	Rows      int64         `json:"rows,omitempty"`
	BlobBytes int64         `json:"blobBytes,omitempty"`
	Report    *check.Report `json:"report,omitempty"`
	Error     string        `json:"error,omitempty"`
}

func (c *client) check(ctx context.Context, tell func(rows, blobBytes int64)) (*check.Report, error) {
	resp, err := c.do(ctx, adminService, http.MethodGet, adminPath+"check", nil, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	lines := json.NewDecoder(bufio.NewReader(resp.Body))
	for {
		var line CheckLine
		err := lines.Decode(&line)
		switch {
		case errors.Is(err, io.EOF):
			return nil, errors.New("the cloud ended before its check did")
		case err != nil:
			return nil, fmt.Errorf("the cloud's answer: %w", err)
		case line.Error != "":
			return nil, errors.New(line.Error)
		case line.Report != nil:
			return line.Report, nil
		}
		tell(line.Rows, line.BlobBytes)
	}
}

func writeReport(w io.Writer, r *check.Report) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, f := range r.Findings {
		fmt.Fprintf(t, "%s\t%s\t%s\n", f.Room, f.Key, f.Problem)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.More > 0 {
		fmt.Fprintf(w, "and %d findings more\n", r.More)
	}
	verdict := "nothing is wrong"
	if !r.OK() {
		verdict = fmt.Sprintf("%d findings; restore a backup, or keep the folder and ask for help", int64(len(r.Findings))+r.More)
	}
	_, err := fmt.Fprintf(w, "%d rows, %d references, %d blobs of %s, %d blobs to be swept: %s\n", r.Rows, r.References, r.Blobs, size(r.BlobBytes), r.Orphans, verdict)
	return err
}
