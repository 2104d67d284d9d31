package app

import (
	"context"

	"lambent/cli"
)

// Doctor implements cli.Server.
func (Server) Doctor(ctx context.Context, o cli.ServeOptions) (cli.Report, error) {
	return cli.Report{}, nil
}
