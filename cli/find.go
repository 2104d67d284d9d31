package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// Names of the files by which commands find a running cloud in its data folder.
const (
	ServerFile  = "server.json"   // Running, removed at the end
	RootKeyFile = "root-key.json" // RootKey, 0600
)

// clientFlags declares --data and --region and returns a function that finds the running cloud.
func clientFlags(d *Deps, cmd *cobra.Command) func() (*client, error) {
	data := cmd.Flags().String("data", "", "data folder of the running cloud (or LAMBENT_DATA)")
	region := cmd.Flags().String("region", "", "region to look at (or AWS_REGION; default the cloud's)")
	return func() (*client, error) {
		o := ServeOptions{Flags: FlagValues{}}
		if *data != "" {
			o.Flags["data"] = *data
		}
		dir, err := d.Server.Data(o)
		if err != nil {
			return nil, err
		}
		r, err := find(dir)
		if err != nil {
			return nil, err
		}
		c := d.client(r)
		if *region != "" {
			c.region = *region
		}
		return c, nil
	}
}

// find reads what the server noted in its data folder.
func find(dir string) (Running, error) {
	var r Running
	b, err := os.ReadFile(filepath.Join(dir, ServerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("no cloud is running with its data in %s; start one with: lambent serve --data %s, or name the folder of the one that runs with --data or LAMBENT_DATA", dir, shellQuote(dir))
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("%s: %w", filepath.Join(dir, ServerFile), err)
	}
	if r.Data, err = filepath.Abs(dir); err != nil {
		return r, err
	}
	if gone(r) {
		return r, fmt.Errorf("the cloud with its data in %s has ended; start it again with: lambent serve --data %s", dir, shellQuote(dir))
	}
	b, err = os.ReadFile(filepath.Join(dir, RootKeyFile))
	if errors.Is(err, fs.ErrPermission) {
		return r, fmt.Errorf("the cloud with its data in %s belongs to another user, who alone may read its root key; run this as that user", dir)
	}
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(b, &r.Key)
}

// gone reports whether the server was killed and could not take its note back. Its process id may be another's by
// now, so the address is tried as well.
func gone(r Running) bool {
	if errors.Is(syscall.Kill(r.PID, 0), syscall.ESRCH) {
		return true
	}
	c, err := net.DialTimeout("tcp", strings.TrimPrefix(r.Endpoint, "http://"), 5*time.Second)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// writeJSON prints v for programs, indented.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// writeJSONLine prints v for programs on one line.
func writeJSONLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
