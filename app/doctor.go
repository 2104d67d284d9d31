package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"lambent/cli"
	"lambent/runtimes"
	"lambent/sandbox/process"
)

// Doctor implements cli.Server.
func (Server) Doctor(ctx context.Context, o cli.ServeOptions) (cli.Report, error) {
	l, err := Load(o.Flags, os.LookupEnv, o.ConfigFile)
	if err != nil {
		return cli.Report{}, err
	}
	r := &cli.Report{OK: true}
	if err := examineWalls(r); err != nil {
		return *r, err
	}
	examineLanguages(r, shelf(l.Data))
	examinePort(r, &l.Config)
	examineData(r, &l.Config)
	return *r, nil
}

// Words of a check's status.
const (
	statusOK      = "ok"
	statusWarn    = "warn"
	statusMissing = "missing"
)

func add(r *cli.Report, c cli.Check) {
	r.Checks = append(r.Checks, c)
	if c.Status == statusMissing {
		r.OK = false
	}
}

// examineWalls opens a driver of its own in a folder of its own and tells what it found.
func examineWalls(r *cli.Report) (err error) {
	dir, err := os.MkdirTemp("", "lambent-doctor-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d, err := process.Open(process.Config{Dir: dir})
	if err != nil {
		return err
	}
	for _, w := range d.Report().Walls {
		c := cli.Check{Area: "sandbox", Name: w.Name, Status: statusOK, Detail: w.Detail}
		switch {
		case !w.OK && w.Must:
			c.Status, c.Remedy = statusMissing, w.Remedy
		case !w.OK:
			c.Status, c.Remedy = statusWarn, w.Remedy
		}
		add(r, c)
	}
	return d.Close()
}

func examineLanguages(r *cli.Report, shelf runtimes.Shelf) {
	installed := languages("nearest", shelf).Installed()
	for _, v := range installed {
		detail := v.Version + " at " + v.Path
		if v.Path == "" {
			detail = "a bootstrap of the function's own"
		}
		add(r, cli.Check{Area: "languages", Name: v.Name, Status: statusOK, Detail: detail})
	}
	if !slices.ContainsFunc(installed, func(v runtimes.Version) bool { return v.Path != "" }) {
		add(r, cli.Check{Area: "languages", Name: "interpreters", Status: statusMissing, Detail: "neither Node.js nor Python was found", Remedy: "on Debian: apt-get install nodejs python3"})
	}
}

func examinePort(r *cli.Report, c *Config) {
	check := cli.Check{Area: "server", Name: "port", Status: statusOK, Detail: c.Listen + " is free"}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		check.Status, check.Detail, check.Remedy = statusWarn, err.Error(), "a cloud may be running already (lambent status); else choose another address with --listen"
	} else {
		l.Close()
	}
	add(r, check)
}

func examineData(r *cli.Report, c *Config) {
	check := cli.Check{Area: "server", Name: "data folder", Status: statusOK}
	path := c.Data
	for { // a folder that is not made yet counts as the nearest that is
		var st syscall.Statfs_t
		err := syscall.Statfs(path, &st)
		if err == nil {
			check.Detail = fmt.Sprintf("%s, %.1f GB free", c.Data, float64(st.Bavail)*float64(st.Bsize)/1e9)
			break
		}
		parent := filepath.Dir(path)
		if !errors.Is(err, syscall.ENOENT) || parent == path {
			check.Status, check.Detail, check.Remedy = statusMissing, err.Error(), "name another folder with --data"
			break
		}
		path = parent
	}
	if check.Status == statusOK && syscall.Access(path, 2) != nil {
		check.Status, check.Detail, check.Remedy = statusMissing, path+" cannot be written by this user", "mend its permissions or name another folder with --data"
	}
	add(r, check)
}
