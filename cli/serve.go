package cli

import (
	"context"
	"fmt"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func serveCommand(d *Deps) *cobra.Command {
	var printConfig, asJSON bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the cloud until it is interrupted",
		Long: `Run the cloud until it is interrupted.

Without a flag everything is on: the first start makes the data folder, an account with a root
access key and the cloud's own certificate authority, and prints the one line needed to use it.
Every flag can also be given as LAMBENT_NAME in the environment or in a YAML file (--config).

SIGINT and SIGTERM let requests in flight finish within --drain-timeout; a second one ends at once.`,
		Example: "  lambent serve\n  lambent serve --data ./cloud --listen 127.0.0.1:0",
		Args:    cobra.NoArgs,
	}
	options := settingFlags(d, cmd)
	cmd.Flags().BoolVar(&printConfig, "print-config", false, "print each setting and where its value came from, and end")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o := options(d.Err)
		if printConfig {
			return d.Server.PrintConfig(o, d.Out, asJSON)
		}
		// The first signal has ended the context: the next one takes its usual way and ends the process at once.
		defer context.AfterFunc(cmd.Context(), func() { signal.Reset(syscall.SIGINT, syscall.SIGTERM) })()
		return d.Server.Serve(cmd.Context(), o, func(r Running) { d.announce(r, o, asJSON) })
	}
	return cmd
}

// announce prints what a person needs to use the cloud that has just started.
func (d *Deps) announce(r Running, o ServeOptions, asJSON bool) {
	if asJSON {
		_ = writeJSON(d.Out, r)
		return
	}
	data := ""
	if v, ok := o.Flags["data"]; ok {
		data = " --data " + shellQuote(v)
	}
	fmt.Fprintf(d.Out, "lambent %s serves %s\nuse it: lambent exec%s -- aws sts get-caller-identity\n", r.Version, r.Endpoint, data)
}

func shellQuote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:=@%") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
