package cli

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// mostNames is how many near names an error offers.
const mostNames = 3

// functionNames lists the functions of the client's region.
func (c *client) functionNames(ctx context.Context) ([]string, error) {
	var names []string
	err := c.eachFunction(ctx, func(f functionRow) { names = append(names, f.Name) })
	return names, err
}

// eachFunction calls fn for each function of the client's region.
func (c *client) eachFunction(ctx context.Context, fn func(functionRow)) error {
	marker := ""
	for {
		var page struct {
			Functions []struct {
				FunctionName, Runtime, LastModified string
				MemorySize, Timeout                 int
			}
			NextMarker string
		}
		if err := c.json(ctx, "lambda", "GET", "/2015-03-31/functions/"+marker, &page); err != nil {
			return err
		}
		for _, f := range page.Functions {
			fn(functionRow{Name: f.FunctionName, Runtime: f.Runtime, MemoryMB: f.MemorySize, Seconds: f.Timeout, Modified: f.LastModified})
		}
		if page.NextMarker == "" {
			return nil
		}
		marker = "?Marker=" + url.QueryEscape(page.NextMarker)
	}
}

// completeFunctions completes the names of functions for a shell. Where no cloud answers there is nothing to complete.
func completeFunctions(connect func() (*client, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names, err := c.functionNames(cmd.Context())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(n, begun) }), cobra.ShellCompDirectiveNoFileComp
	}
}

// explainNoFunction says what to do about a function that the cloud does not find; otherwise is what it said. A name
// that exists was asked for with a version or alias that does not.
func (c *client) explainNoFunction(ctx context.Context, name string, otherwise error) error {
	names, err := c.functionNames(ctx)
	plain := plainName(name)
	if err != nil || slices.Contains(names, plain) {
		return otherwise
	}
	if len(names) == 0 {
		return fmt.Errorf("there is no function %s in region %s, nor any other; --region looks in another region, --data at another cloud", plain, c.region)
	}
	hint := "lambent status lists the functions, --region looks in another region"
	if near := nearNames(plain, names); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Errorf("there is no function %s in region %s; %s", plain, c.region, hint)
}

// plainName is a function's name out of NAME:QUALIFIER or any form of an ARN.
func plainName(name string) string {
	if _, after, ok := strings.Cut(name, ":function:"); ok {
		name = after
	}
	plain, _, _ := strings.Cut(name, ":")
	return plain
}

// nearNames are the names that someone who typed name may have meant, nearest first: those that hold it or that it
// holds, as frameworks put service and stage before a name, and those a few keys away.
func nearNames(name string, names []string) []string {
	type candidate struct {
		name string
		far  int
	}
	var near []candidate
	for _, n := range names {
		a, b := strings.ToLower(name), strings.ToLower(n)
		far := distance(a, b)
		switch {
		case strings.HasSuffix(b, "-"+a):
			far = 0
		case strings.Contains(b, a), strings.Contains(a, b):
			far = min(far, 2)
		case far > max(1, len(a)/3):
			continue
		}
		near = append(near, candidate{n, far})
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return cmp.Compare(a.far, b.far) })
	var out []string
	for _, c := range near[:min(len(near), mostNames)] {
		out = append(out, c.name)
	}
	return out
}

// distance is the number of bytes to insert, delete or replace that make a out of b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
