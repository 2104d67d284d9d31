package cli

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func invokeCommand(d *Deps) *cobra.Command {
	var payload, qualifier string
	var async, quiet bool
	cmd := &cobra.Command{
		Use:   "invoke FUNCTION",
		Short: "Call a function and print its answer",
		Long: `Call a function and print its answer. Its log goes to standard error.

The exit code is 0 when the function answered and 2 when it failed.`,
		Example: `  lambent invoke hello -d '{"name":"Ada"}'` + "\n  lambent invoke hello -d @event.json\n  lambent invoke hello --async",
		Args:    cobra.ExactArgs(1),
	}
	connect := clientFlags(d, cmd)
	cmd.Flags().StringVarP(&payload, "payload", "d", "", "JSON to send: text, @FILE, or - for standard input")
	cmd.Flags().StringVarP(&qualifier, "qualifier", "q", "", "version or alias")
	cmd.Flags().BoolVar(&async, "async", false, "put the event into the function's queue and do not wait")
	cmd.Flags().BoolVar(&quiet, "quiet", false, "do not print the log")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect()
		if err != nil {
			return err
		}
		body, err := d.readPayload(payload)
		if err != nil {
			return err
		}
		path := "/2015-03-31/functions/" + url.PathEscape(args[0]) + "/invocations"
		if qualifier != "" {
			path += "?Qualifier=" + url.QueryEscape(qualifier)
		}
		h := http.Header{"X-Amz-Log-Type": {"Tail"}}
		if async {
			h = http.Header{"X-Amz-Invocation-Type": {"Event"}}
		}
		resp, err := c.do(cmd.Context(), "lambda", http.MethodPost, path, h, body)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		return d.printAnswer(resp, async, quiet)
	}
	return cmd
}

func (d *Deps) readPayload(arg string) ([]byte, error) {
	var b []byte
	var err error
	switch {
	case arg == "":
		return nil, nil
	case arg == "-":
		b, err = io.ReadAll(d.In)
	case strings.HasPrefix(arg, "@"):
		b, err = os.ReadFile(arg[1:])
	default:
		b = []byte(arg)
	}
	if err != nil {
		return nil, err
	}
	if !json.Valid(b) {
		return nil, errors.New("the payload is not JSON; text needs quotes: -d '\"text\"'")
	}
	return b, nil
}

func (d *Deps) printAnswer(resp *http.Response, async, quiet bool) error {
	if async {
		_, err := fmt.Fprintln(d.Err, "queued as", resp.Header.Get("X-Amzn-Requestid"))
		return err
	}
	if tail, err := base64.StdEncoding.DecodeString(resp.Header.Get("X-Amz-Log-Result")); err == nil && !quiet {
		if _, err := d.Err.Write(tail); err != nil {
			return err
		}
	}
	if _, err := io.Copy(d.Out, resp.Body); err != nil {
		return err
	}
	fmt.Fprintln(d.Out)
	if resp.Header.Get("X-Amz-Function-Error") != "" {
		return ExitError(2)
	}
	return nil
}
