package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
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
	since := sinceValue{text: "24h", back: 24 * time.Hour}
	var filter string
	cmd := &cobra.Command{
		Use:     "logs FUNCTION",
		Short:   "Print a function's log",
		Long:    "Print a function's log. A name with a slash is taken as the log group itself.",
		Example: "  lambent logs hello\n  lambent logs hello -f --since 1h --filter ERROR",
		Args:    cobra.ExactArgs(1),
	}
	connect := clientFlags(d, cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new lines until interrupted")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	cmd.Flags().Var(&since, "since", "where to begin: how far back (90s, 15m, 2h, 7d) or a time (2026-01-05T10:00:00Z)")
	cmd.ValidArgsFunction = completeFunctions(connect)
	cmd.Flags().StringVar(&filter, "filter", "", "CloudWatch Logs filter pattern")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect()
		if err != nil {
			return err
		}
		group := args[0]
		if !strings.Contains(group, "/") {
			group = "/aws/lambda/" + plainName(group)
		}
		err = d.printLog(cmd.Context(), c, group, filter, since.at(time.Now()).UnixMilli(), follow, asJSON)
		if isNotFound(err) {
			err = c.explainNoLog(cmd.Context(), args[0], group)
		}
		return err
	}
	return cmd
}

// sinceValue is the flag --since.
type sinceValue struct {
	text string
	back time.Duration // when no time is given
	time time.Time
}

func (v *sinceValue) String() string { return v.text }
func (v *sinceValue) Type() string   { return "time" }

// Set implements pflag.Value.
func (v *sinceValue) Set(s string) error {
	at, err := time.Parse(time.RFC3339, s)
	if err == nil {
		*v = sinceValue{text: s, time: at}
		return nil
	}
	var back time.Duration
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int64
		n, err = strconv.ParseInt(days, 10, 16) // no more than fits a Duration
		back = time.Duration(n) * 24 * time.Hour
	} else {
		back, err = time.ParseDuration(s)
	}
	if err != nil || back < 0 {
		return errors.New("want how far back (90s, 15m, 2h, 7d) or a time (2026-01-05T10:00:00Z)")
	}
	*v = sinceValue{text: s, back: back}
	return nil
}

// at is the moment that the flag means.
func (v *sinceValue) at(now time.Time) time.Time {
	if !v.time.IsZero() {
		return v.time
	}
	return now.Add(-v.back)
}

// explainNoLog says why there is no log group and what to do.
func (c *client) explainNoLog(ctx context.Context, name, group string) error {
	if name == group {
		return fmt.Errorf("there is no log group %s in region %s; lambent exec -- aws logs describe-log-groups lists them", group, c.region)
	}
	var fn struct{}
	err := c.json(ctx, "lambda", "GET", "/2015-03-31/functions/"+url.PathEscape(name)+"/configuration", &fn)
	switch {
	case isNotFound(err):
		return c.explainNoFunction(ctx, name, err)
	case err != nil:
		return err
	}
	return fmt.Errorf("function %s has no log yet: it was not called, or just now; lambent logs %[1]s -f waits for it", name)
}

func isNotFound(err error) bool {
	var no *refusal
	return errors.As(err, &no) && no.Code == "ResourceNotFoundException"
}

// printLog prints events from the millisecond from on. With follow, events that share the last
// millisecond seen are read again and told apart by their ids.
func (d *Deps) printLog(ctx context.Context, c *client, group, filter string, from int64, follow, asJSON bool) error {
	seen := map[string]bool{}
	waiting := false
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
		if follow && isNotFound(err) {
			err = nil // the group comes with the function's first line
			if !waiting {
				fmt.Fprintf(d.Err, "there is no log group %s yet: waiting for its first line\n", group)
			}
			waiting = true
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
