package cli

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// A Part is something that languages need besides an interpreter: the runtime client of one, an SDK.
type Part struct {
	Name string `json:"name"`
	Use  string `json:"use"`
	Path string `json:"path"` // where it is, "" when it is not here
}

func runtimesCommand(d *Deps) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "runtimes",
		Short: "What languages need besides an interpreter: list it, add it",
		Long: `List what languages need besides an interpreter, and where it is.

Interpreters are the host's own and are found by themselves: see lambent doctor.`,
		Args: cobra.NoArgs,
	}
	data := cmd.PersistentFlags().String("data", "", "data folder of the cloud (or LAMBENT_DATA)")
	options := func() ServeOptions {
		o := ServeOptions{Flags: FlagValues{}, LogTo: d.Err}
		if *data != "" {
			o.Flags["data"] = *data
		}
		return o
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		parts, err := d.Server.Parts(options())
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(d.Out, parts)
		}
		t := tabwriter.NewWriter(d.Out, 0, 8, 2, ' ', 0)
		for _, p := range parts {
			where := p.Path
			if where == "" {
				where = "not here: lambent runtimes add " + p.Name
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", p.Name, p.Use, where)
		}
		return t.Flush()
	}
	cmd.AddCommand(addCommand(d, options))
	return cmd
}

func addCommand(d *Deps, options func() ServeOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add PART",
		Short: "Bring one of them, or a newer one",
		Long: `Bring a part into the folder "runtimes" of the data folder. It is fetched or built by the usual tool of its
language (mvn, npm, pip, mcs), with that tool's own settings, or copied from a folder with --from. A cloud that
runs shows it to functions that it starts from now on.`,
		Args: cobra.ExactArgs(1),
	}
	from := cmd.Flags().String("from", "", "copy this folder instead")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := d.Server.AddPart(cmd.Context(), options(), args[0], *from)
		if err == nil {
			fmt.Fprintf(d.Out, "%s is in %s\n", args[0], path)
		}
		return err
	}
	return cmd
}
