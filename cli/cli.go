// Package cli holds the commands that people type. Apart from serve and exec --fresh, which start a
// cloud in this process through the Server it is given, every command is an ordinary client of the
// cloud's public APIs: it finds the running cloud through its data folder and signs its calls.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"lambent/backup"
	"lambent/check"
)

// Server is how cmd/lambent lets the commands run a cloud in this process.
type Server interface {
	// EachSetting names the settings of a cloud, which become flags of serve and exec.
	EachSetting(fn func(name, def, help string))

	// Serve runs a cloud until ctx ends; ready is called once when it answers.
	Serve(ctx context.Context, o ServeOptions, ready func(Running)) error

	// PrintConfig writes each setting and where its value came from.
	PrintConfig(o ServeOptions, w io.Writer, asJSON bool) error

	// Data returns the data folder that the settings name.
	Data(o ServeOptions) (string, error)

	// Doctor reports what this host gives; ok is false when functions cannot run behind real walls.
	Doctor(ctx context.Context, o ServeOptions) (Report, error)

	// Parts lists what languages may need besides an interpreter; AddPart brings one by its usual tool, or from
	// a folder, and returns where it is.
	Parts(o ServeOptions) ([]Part, error)
	AddPart(ctx context.Context, o ServeOptions, name, from string) (path string, err error)

	// Backup takes a snapshot of a cloud that does not serve.
	Backup(ctx context.Context, o ServeOptions, to *backup.Folder, tell backup.Observer) (*backup.Manifest, error)

	// Restore makes a cloud of a snapshot that was verified.
	Restore(ctx context.Context, o ServeOptions, from *backup.Folder, m *backup.Manifest, tell backup.Observer) error

	// Check looks at everything that a cloud that does not serve keeps.
	Check(ctx context.Context, o ServeOptions, tell func(rows, blobBytes int64)) (*check.Report, error)
}

// ServeOptions are the settings given on a command line.
type ServeOptions struct {
	Flags      FlagValues
	ConfigFile string
	LogTo      io.Writer // where the server's log goes
}

// FlagValues are the flags that were really given, by setting name.
type FlagValues map[string]string

// Changed reports whether the flag was given.
func (f FlagValues) Changed(name string) bool { _, ok := f[name]; return ok }

// Value returns the flag's value.
func (f FlagValues) Value(name string) string { return f[name] }

// Running says how to reach a cloud. It is what the server notes in its data folder.
type Running struct {
	Endpoint string `json:"endpoint"` // http://127.0.0.1:4566
	Data     string `json:"data"`     // its data folder
	Domain   string `json:"domain"`   // localhost:4566
	Region   string `json:"region"`
	PID      int    `json:"pid"`
	Version  string `json:"version"`
	CA       string `json:"ca"`     // PEM file of the cloud's own CA
	Bundle   string `json:"bundle"` // PEM file of the system's roots and the cloud's CA

	Key RootKey `json:"-"` // kept in a file of its own, 0600
}

// RootKey is the access key of the account's root.
type RootKey struct {
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
}

// Report is what doctor found.
type Report struct {
	OK     bool    `json:"ok"`
	Checks []Check `json:"checks"`
}

// Check is one line of doctor: a wall, a limit, a language, a port, the store.
type Check struct {
	Area   string `json:"area"`
	Name   string `json:"name"`
	Status string `json:"status"` // ok, warn, missing
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"` // what to do about it
}

// Deps is what the commands need of the process.
type Deps struct {
	In       io.Reader
	Out, Err io.Writer
	Environ  []string
	Server   Server
	Version  string
}

// env returns a variable of the environment.
func (d *Deps) env(name string) (string, bool) {
	for i := len(d.Environ) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(d.Environ[i], name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// ExitError carries the exit code of a command that has already said what was wrong.
type ExitError int

func (e ExitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Run runs one command line and returns the exit code.
func Run(ctx context.Context, d Deps, args []string) int {
	root := rootCommand(&d)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var exit ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit)
	}
	fmt.Fprintln(d.Err, "lambent:", err)
	return 1
}

func rootCommand(d *Deps) *cobra.Command {
	root := &cobra.Command{
		Use:           "lambent",
		Short:         "A serverless cloud that its users own",
		Long:          "Lambent is a serverless cloud in one binary: deploy to it with the AWS CLI, SDKs and the\nServerless Framework, unmodified, and run what you deployed on your own machine.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(
		serveCommand(d),
		execCommand(d),
		doctorCommand(d),
		statusCommand(d),
		logsCommand(d),
		invokeCommand(d),
		backupCommand(d),
		restoreCommand(d),
		storeCommand(d),
		runtimesCommand(d),
		versionCommand(d),
	)
	root.SetIn(d.In)
	root.SetOut(d.Out)
	root.SetErr(d.Err)
	root.InitDefaultCompletionCmd() // takes the output as it is now
	root.SetFlagErrorFunc(explainFlag)
	for _, c := range root.Commands() {
		explainUsage(c)
	}
	return root
}

// explainFlag says what to do about a flag that is not taken.
func explainFlag(cmd *cobra.Command, err error) error {
	return fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath())
}

// explainUsage has c and the commands below it say how they are used when they are given other arguments.
func explainUsage(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return fmt.Errorf("%w; usage: %s", err, cmd.UseLine())
			}
			return nil
		}
	}
	for _, below := range c.Commands() {
		explainUsage(below)
	}
}

// settingFlags declares the server's settings as flags and returns a function that collects the given ones.
func settingFlags(d *Deps, cmd *cobra.Command) func(logTo io.Writer) ServeOptions {
	d.Server.EachSetting(func(name, def, help string) {
		f := cmd.Flags().VarPF(&anyValue{}, name, "", help)
		f.DefValue = def
		if def == "true" || def == "false" {
			f.NoOptDefVal = "true"
		}
	})
	file := cmd.Flags().String("config", "", "YAML file of settings")
	return func(logTo io.Writer) ServeOptions {
		o := ServeOptions{Flags: FlagValues{}, ConfigFile: *file, LogTo: logTo}
		d.Server.EachSetting(func(name, _, _ string) {
			if f := cmd.Flags().Lookup(name); f.Changed {
				o.Flags[name] = f.Value.String()
			}
		})
		return o
	}
}

// anyValue is a flag whose text the server's own settings parse.
type anyValue struct{ text string }

func (v *anyValue) String() string     { return v.text }
func (v *anyValue) Set(s string) error { v.text = s; return nil }
func (v *anyValue) Type() string       { return "value" }

func versionCommand(d *Deps) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if asJSON {
				return writeJSON(d.Out, map[string]string{"version": d.Version})
			}
			_, err := fmt.Fprintln(d.Out, "lambent", d.Version)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
