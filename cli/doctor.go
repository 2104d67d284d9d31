package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func doctorCommand(d *Deps) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this host gives: walls, limits, languages, port, store",
		Long: `Say what this host gives to functions and what it lacks, with what to do about it.

The exit code is 0 when functions can run behind all walls and limits, and 1 otherwise.`,
		Args: cobra.NoArgs,
	}
	options := settingFlags(d, cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		report, err := d.Server.Doctor(cmd.Context(), options(d.Err))
		if err != nil {
			return err
		}
		if report.Checks == nil {
			report.Checks = []Check{} // a list for programs, even an empty one
		}
		if asJSON {
			err = writeJSON(d.Out, report)
		} else {
			err = report.write(d.Out, d.paint(d.Out))
		}
		if err == nil && !report.OK {
			err = ExitError(1)
		}
		return err
	}
	return cmd
}

// colour is that of the check's status.
func (c *Check) colour() string {
	switch c.Status {
	case "ok":
		return green
	case "warn":
		return yellow
	case "missing":
		return red
	}
	return plain
}

func (r *Report) write(w io.Writer, p paint) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	area := ""
	for _, c := range r.Checks {
		if c.Area != area {
			area = c.Area
			fmt.Fprintf(t, "%s\n", area)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", p.as(c.colour(), c.Status), c.Name, c.Detail)
		if c.Remedy != "" {
			fmt.Fprintf(t, "  %s\t\t→ %s\n", p.as(plain, ""), c.Remedy)
		}
	}
	return t.Flush()
}
