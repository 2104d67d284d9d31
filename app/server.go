package app

import (
	"context"
	"io"
	"os"

	"lambent/cli"
)

// Server runs clouds for the commands.
type Server struct{}

var _ cli.Server = Server{}

// EachSetting implements cli.Server.
func (Server) EachSetting(fn func(name, def, help string)) { EachSetting(fn) }

// Serve implements cli.Server.
func (Server) Serve(ctx context.Context, o cli.ServeOptions, ready func(cli.Running)) error {
	l, err := Load(o.Flags, os.LookupEnv, o.ConfigFile)
	if err != nil {
		return err
	}
	return Run(ctx, &l.Config, o.LogTo, ready)
}

// PrintConfig implements cli.Server.
func (Server) PrintConfig(o cli.ServeOptions, w io.Writer, asJSON bool) error {
	l, err := Load(o.Flags, os.LookupEnv, o.ConfigFile)
	if err != nil {
		return err
	}
	return l.Print(w, asJSON)
}

// Data implements cli.Server.
func (Server) Data(o cli.ServeOptions) (string, error) {
	l, err := Load(o.Flags, os.LookupEnv, o.ConfigFile)
	if err != nil {
		return "", err
	}
	return l.Data, nil
}
