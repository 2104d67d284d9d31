// Command lambent is a serverless cloud in one binary: `lambent serve` runs it, the other commands use it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"lambent/app"
	"lambent/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Run(ctx, cli.Deps{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ(), Server: app.Server{}, Version: app.Version,
	}, os.Args[1:]))
}
