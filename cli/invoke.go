package cli

import (
	"cmp"
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

// invokeFlags are what invoke can be told.
type invokeFlags struct {
	payload, qualifier   string
	async, quiet, asJSON bool
}

func invokeCommand(d *Deps) *cobra.Command {
	var f invokeFlags
	cmd := &cobra.Command{
		Use:   "invoke FUNCTION",
		Short: "Call a function and print its answer",
		Long: `Call a function and print its answer. Its log goes to standard error.

The exit code is 0 when the function answered and 1 when it failed or could not be called.`,
		Example: `  lambent invoke hello -d '{"name":"Ada"}'` + "\n  lambent invoke hello -d @event.json\n  lambent invoke hello --async",
		Args:    cobra.ExactArgs(1),
	}
	connect := clientFlags(d, cmd)
	cmd.ValidArgsFunction = completeFunctions(connect)
	cmd.Flags().StringVarP(&f.payload, "payload", "d", "", "JSON to send: text, @FILE, or - for standard input")
	cmd.Flags().StringVarP(&f.qualifier, "qualifier", "q", "", "version or alias")
	cmd.Flags().BoolVar(&f.async, "async", false, "put the event into the function's queue and do not wait")
	cmd.Flags().BoolVar(&f.quiet, "quiet", false, "do not print the log")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print answer, error and log as one JSON object")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := connect()
		if err != nil {
			return err
		}
		body, err := d.readPayload(f.payload)
		if err != nil {
			return err
		}
		path := "/2015-03-31/functions/" + url.PathEscape(args[0]) + "/invocations"
		if f.qualifier != "" {
			path += "?Qualifier=" + url.QueryEscape(f.qualifier)
		}
		h := http.Header{"X-Amz-Log-Type": {"Tail"}}
		if f.async {
			h = http.Header{"X-Amz-Invocation-Type": {"Event"}}
		}
		resp, err := c.do(cmd.Context(), "lambda", http.MethodPost, path, h, body)
		if isNotFound(err) {
			err = c.explainNoFunction(cmd.Context(), args[0], err)
		}
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		a, err := readAnswer(resp)
		if err != nil {
			return err
		}
		if f.asJSON {
			err = writeJSON(d.Out, a)
		} else {
			err = d.printAnswer(a, f)
		}
		if err == nil && a.FunctionError != "" {
			fmt.Fprintf(d.Err, "lambent: function %s failed: %s\n", args[0], a.failure())
			err = ExitError(1)
		}
		return err
	}
	return cmd
}

func (d *Deps) readPayload(arg string) ([]byte, error) {
	var b []byte
	var err error
	switch {
	case arg == "":
		return nil, nil
	case arg == "-", arg == "@-":
		b, err = io.ReadAll(d.In)
	case strings.HasPrefix(arg, "@"):
		b, err = os.ReadFile(arg[1:])
	default:
		b = []byte(arg)
	}
	if err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	if !json.Valid(b) {
		return nil, errors.New("the payload is not JSON; text needs quotes: -d '\"text\"', and a file an @: -d @FILE")
	}
	return b, nil
}

// answer is what came of a call.
type answer struct {
	Status        int             `json:"status"` // 202: it is queued
	RequestID     string          `json:"requestId"`
	Version       string          `json:"version,omitempty"`
	FunctionError string          `json:"functionError,omitempty"` // the payload is an error then
	Payload       json.RawMessage `json:"payload,omitempty"`
	Log           string          `json:"log,omitempty"` // its last 4 KiB

	body []byte // as it came, JSON or not
}

func readAnswer(resp *http.Response) (*answer, error) {
	h := resp.Header
	a := &answer{Status: resp.StatusCode, RequestID: h.Get("X-Amzn-Requestid"), Version: h.Get("X-Amz-Executed-Version"), FunctionError: h.Get("X-Amz-Function-Error")}
	if tail, err := base64.StdEncoding.DecodeString(h.Get("X-Amz-Log-Result")); err == nil {
		a.Log = string(tail)
	}
	var err error
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		return nil, err
	}
	a.Payload = a.body
	if len(a.body) > 0 && !json.Valid(a.body) { // a function may answer with any text
		a.Payload, err = json.Marshal(string(a.body))
	}
	return a, err
}

// failure is the function's error in one line.
func (a *answer) failure() string {
	var e struct{ ErrorType, ErrorMessage string }
	if json.Unmarshal(a.body, &e) != nil || e.ErrorType+e.ErrorMessage == "" {
		return string(a.body)
	}
	return strings.TrimPrefix(cmp.Or(e.ErrorType, a.FunctionError)+": "+e.ErrorMessage, ": ")
}

func (d *Deps) printAnswer(a *answer, f invokeFlags) error {
	if f.async {
		_, err := fmt.Fprintln(d.Err, "queued as", a.RequestID)
		return err
	}
	if !f.quiet {
		if _, err := io.WriteString(d.Err, a.Log); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(d.Out, "%s\n", a.body)
	return err
}
