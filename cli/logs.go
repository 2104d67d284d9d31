package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// followPause is the time between two looks for new lines.
const followPause = 500 * time.Millisecond

type logEvent struct {
	EventID   string `json:"eventId"`
	Stream    string `json:"logStreamName"`
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
}

func logsCommand(d *Deps) *cobra.Command {
	var follow, asJSON bool
	var since time.Duration
	var filter string
	cmd := &cobra.Command{
		Use:     "logs FUNCTION",
		Short:   "Print a function's log",
		Long:    "Print a function's log. A name with a slash is taken as the log group itself.",
		Example: "  lambent logs hello\n  lambent logs hello -f --since 1h --filter ERROR",
		Args:    cobra.ExactArgs(1),
	}
	running := dataFlag(d, cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new lines until interrupted")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	cmd.Flags().DurationVar(&since, "since", 24*time.Hour, "how far back to begin")
	cmd.Flags().StringVar(&filter, "filter", "", "CloudWatch Logs filter pattern")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := running()
		if err != nil {
			return err
		}
		group := args[0]
		if !strings.Contains(group, "/") {
			group = "/aws/lambda/" + group
		}
		c := d.client(r)
		return d.printLog(cmd.Context(), c, group, filter, time.Now().Add(-since).UnixMilli(), follow, asJSON)
	}
	return cmd
}

// printLog prints events from the millisecond from on. With follow, events that share the last
// millisecond seen are read again and told apart by their ids.
func (d *Deps) printLog(ctx context.Context, c *client, group, filter string, from int64, follow, asJSON bool) error {
	seen := map[string]bool{}
	for {
		err := c.eachLogEvent(ctx, group, filter, from, func(e logEvent) error {
			if seen[e.EventID] {
				return nil
			}
			if e.Timestamp > from {
				from = e.Timestamp
				clear(seen)
			}
			seen[e.EventID] = true
			return d.printEvent(e, asJSON)
		})
		var no *refusal
		if errors.As(err, &no) && no.Code == "ResourceNotFoundException" && follow {
			err = nil // the group comes with the function's first line
		}
		if err != nil || !follow {
			if ctx.Err() != nil && follow {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followPause):
		}
	}
}

func (c *client) eachLogEvent(ctx context.Context, group, filter string, from int64, fn func(logEvent) error) error {
	in := map[string]any{"logGroupName": group, "startTime": from}
	if filter != "" {
		in["filterPattern"] = filter
	}
	for {
		var out struct {
			Events    []logEvent `json:"events"`
			NextToken string     `json:"nextToken"`
		}
		if err := c.target(ctx, "logs", "Logs_20140328.FilterLogEvents", in, &out); err != nil {
			return err
		}
		for _, e := range out.Events {
			if err := fn(e); err != nil {
				return err
			}
		}
		if out.NextToken == "" {
			return nil
		}
		in["nextToken"] = out.NextToken
	}
}

func (d *Deps) printEvent(e logEvent, asJSON bool) error {
	if asJSON {
		return writeJSONLine(d.Out, e)
	}
	at := time.UnixMilli(e.Timestamp).UTC().Format("2006-01-02T15:04:05.000Z")
	_, err := fmt.Fprintf(d.Out, "%s  %s\n", at, strings.TrimRight(e.Message, "\n"))
	return err
}
