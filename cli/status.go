package cli

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// overview is what status shows.
type overview struct {
	Cloud     Running       `json:"cloud"`
	Region    string        `json:"region"`
	Functions []functionRow `json:"functions"`
	APIs      []apiRow      `json:"apis"`
	Stacks    []stackRow    `json:"stacks"`
	Rules     []ruleRow     `json:"rules"`
}

type functionRow struct {
	Name     string `json:"name"`
	Runtime  string `json:"runtime"`
	MemoryMB int    `json:"memoryMB"`
	Seconds  int    `json:"timeoutSeconds"`
	Modified string `json:"modified"`
	Note     string `json:"note,omitempty"` // another version of its language runs it, or none
}

type apiRow struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	URL  string `json:"url"`
}

type stackRow struct {
	Name   string `json:"name" xml:"StackName"`
	Status string `json:"status" xml:"StackStatus"`
	Reason string `json:"reason,omitempty" xml:"StackStatusReason"`
}

type ruleRow struct {
	Name     string `json:"name"`
	Schedule string `json:"schedule"`
	State    string `json:"state"`
}

func statusCommand(d *Deps) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what is deployed and where it answers",
		Args:  cobra.NoArgs,
	}
	connect := clientFlags(d, cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect()
		if err != nil {
			return err
		}
		o, err := c.overview(cmd.Context())
		if err != nil {
			return err
		}
		if asJSON {
			return writeJSON(d.Out, o)
		}
		return o.write(d.Out, d.paint(d.Out))
	}
	return cmd
}

func (c *client) overview(ctx context.Context) (*overview, error) {
	o := &overview{Cloud: c.at, Region: c.region, Functions: []functionRow{}, APIs: []apiRow{}, Stacks: []stackRow{}, Rules: []ruleRow{}}
	for _, read := range []func(context.Context, *overview) error{c.readFunctions, c.readRestAPIs, c.readHTTPAPIs, c.readStacks, c.readRules} {
		if err := read(ctx, o); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (c *client) readFunctions(ctx context.Context, o *overview) error {
	if err := c.eachFunction(ctx, func(f functionRow) { o.Functions = append(o.Functions, f) }); err != nil {
		return err
	}
	notes := map[string]string{} // by runtime: one function answers for all of its kind
	for i := range o.Functions {
		f := &o.Functions[i]
		note, known := notes[f.Runtime]
		if !known {
			var err error
			if note, err = c.runtimeNote(ctx, f.Name); err != nil && !isNotFound(err) {
				return err
			}
			notes[f.Runtime] = note
		}
		f.Note = note
	}
	return nil
}

// runtimeNote is what the cloud has to say about a function's runtime, "" when it has just that.
func (c *client) runtimeNote(ctx context.Context, function string) (string, error) {
	var fn struct {
		RuntimeVersionConfig struct {
			Error struct{ Message string }
		}
	}
	err := c.json(ctx, "lambda", "GET", "/2015-03-31/functions/"+url.PathEscape(function)+"/configuration", &fn)
	return fn.RuntimeVersionConfig.Error.Message, err
}

func (c *client) readRestAPIs(ctx context.Context, o *overview) error {
	var page struct {
		Item []struct{ ID, Name string } `json:"item"`
	}
	if err := c.json(ctx, "apigateway", "GET", "/restapis?limit=500", &page); err != nil {
		return err
	}
	for _, a := range page.Item {
		var stages struct {
			Item []struct {
				StageName string `json:"stageName"`
			} `json:"item"`
		}
		if err := c.json(ctx, "apigateway", "GET", "/restapis/"+a.ID+"/stages", &stages); err != nil {
			return err
		}
		for _, s := range stages.Item {
			o.APIs = append(o.APIs, apiRow{a.Name, "REST", c.at.Endpoint + "/restapis/" + a.ID + "/" + s.StageName + "/_user_request_/"})
		}
	}
	return nil
}

func (c *client) readHTTPAPIs(ctx context.Context, o *overview) error {
	var page struct {
		Items []struct {
			ID   string `json:"apiId"`
			Name string `json:"name"`
		} `json:"items"`
	}
	if err := c.json(ctx, "apigateway", "GET", "/v2/apis", &page); err != nil {
		return err
	}
	for _, a := range page.Items {
		o.APIs = append(o.APIs, apiRow{a.Name, "HTTP", c.at.Endpoint + "/restapis/" + a.ID + "/$default/_user_request_/"})
	}
	return nil
}

func (c *client) readStacks(ctx context.Context, o *overview) error {
	token := ""
	for {
		var page struct {
			Result struct {
				Stacks    []stackRow `xml:"Stacks>member"`
				NextToken string     `xml:"NextToken"`
			} `xml:"DescribeStacksResult"`
		}
		if err := c.query(ctx, "cloudformation", "Action=DescribeStacks&Version=2010-05-15"+token, &page); err != nil {
			return err
		}
		o.Stacks = append(o.Stacks, page.Result.Stacks...)
		if page.Result.NextToken == "" {
			return nil
		}
		token = "&NextToken=" + url.QueryEscape(page.Result.NextToken)
	}
}

func (c *client) readRules(ctx context.Context, o *overview) error {
	in := map[string]any{}
	for {
		var page struct {
			Rules     []struct{ Name, ScheduleExpression, State string }
			NextToken string
		}
		if err := c.target(ctx, "events", "AWSEvents.ListRules", in, &page); err != nil {
			return err
		}
		for _, r := range page.Rules {
			o.Rules = append(o.Rules, ruleRow{r.Name, r.ScheduleExpression, r.State})
		}
		if page.NextToken == "" {
			return nil
		}
		in["NextToken"] = page.NextToken
	}
}

func (o *overview) write(w io.Writer, p paint) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "cloud\t%s\tversion %s, process %d, region %s\n", o.Cloud.Endpoint, o.Cloud.Version, o.Cloud.PID, o.Region)
	section(t, "functions", len(o.Functions), "NAME\tRUNTIME\tMEMORY\tTIMEOUT\tMODIFIED")
	for _, f := range o.Functions {
		fmt.Fprintf(t, "  %s\t%s\t%d MB\t%v\t%s\n", f.Name, f.Runtime, f.MemoryMB, time.Duration(f.Seconds)*time.Second, f.Modified)
	}
	for _, note := range o.notes() {
		fmt.Fprintf(t, "  %s %s\n", p.as(yellow, "WARNING:"), note)
	}
	section(t, "APIs", len(o.APIs), "NAME\tKIND\tURL")
	for _, a := range o.APIs {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", a.Name, a.Kind, a.URL)
	}
	section(t, "stacks", len(o.Stacks), "NAME\t"+p.as(plain, "STATUS")+"\tREASON")
	for _, s := range o.Stacks {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", s.Name, p.as(stackColour(s.Status), s.Status), s.Reason)
	}
	section(t, "rules", len(o.Rules), "NAME\tSCHEDULE\tSTATE")
	for _, r := range o.Rules {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", r.Name, r.Schedule, r.State)
	}
	return t.Flush()
}

// notes are what is to be said about functions, each once.
func (o *overview) notes() []string {
	var notes []string
	for _, f := range o.Functions {
		if f.Note != "" && !slices.Contains(notes, f.Note) {
			notes = append(notes, f.Note)
		}
	}
	return notes
}

// stackColour tells a stack that is as it was told to be from one that is under way and one that is not.
func stackColour(status string) string {
	switch {
	case strings.Contains(status, "FAILED"), strings.Contains(status, "ROLLBACK"):
		return red
	case strings.HasSuffix(status, "_COMPLETE"):
		return green
	}
	return yellow
}

func section(w io.Writer, title string, n int, heads string) {
	if n == 0 {
		fmt.Fprintf(w, "%s\tnone\n", title)
		return
	}
	fmt.Fprintf(w, "%s\n  %s\n", title, heads)
}
