package cloudformation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lambent/kv"
)

// pages asks for one page after the other and returns how many each held, and all that they held.
func pages(t *testing.T, ask func(token *string) (items []string, next *string, err error)) (sizes []int, all []string) {
	t.Helper()
	var token *string
	for {
		items, next, err := ask(token)
		if err != nil {
			t.Fatal(err)
		}
		sizes, all = append(sizes, len(items)), append(all, items...)
		if token = next; token == nil {
			break
		}
	}
	if sorted := slices.Compact(slices.Sorted(slices.Values(all))); len(sorted) != len(all) {
		t.Errorf("%d of %d are there twice", len(all)-len(sorted), len(all))
	}
	return sizes, all
}

// many is a template of n log groups.
func many(n int) string {
	var b strings.Builder
	b.WriteString("Resources:\n")
	for i := range n {
		fmt.Fprintf(&b, "  G%d: {Type: AWS::Logs::LogGroup}\n", i)
	}
	return b.String()
}

func TestPagesOfOneStack(t *testing.T) {
	b := newBench(t)
	set := b.changeSet("many", many(201), func(in *CreateChangeSetInput) { in.ChangeSetType = new("CREATE") })
	sizes, _ := pages(t, func(token *string) (items []string, next *string, err error) {
		out, err := b.s.describeChangeSet(t.Context(), b.c, &DescribeChangeSetInput{ChangeSetName: set.ChangeSetId, NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		for _, ch := range out.Changes {
			items = append(items, *ch.ResourceChange.LogicalResourceId)
		}
		return items, out.NextToken, nil
	})
	if want := []int{100, 100, 1}; !slices.Equal(sizes, want) {
		t.Errorf("DescribeChangeSet pages of %v, want %v", sizes, want)
	}
	if _, err := b.s.executeChangeSet(t.Context(), b.c, &ExecuteChangeSetInput{ChangeSetName: set.ChangeSetId}); err != nil {
		t.Fatal(err)
	}
	b.want("many", "CREATE_COMPLETE")
	sizes, _ = pages(t, func(token *string) (items []string, next *string, err error) {
		out, err := b.s.listStackResources(t.Context(), b.c, &ListStackResourcesInput{StackName: new("many"), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		for _, r := range out.StackResourceSummaries {
			items = append(items, *r.LogicalResourceId)
		}
		return items, out.NextToken, nil
	})
	if want := []int{100, 100, 1}; !slices.Equal(sizes, want) {
		t.Errorf("ListStackResources pages of %v, want %v", sizes, want)
	}
	var last time.Time
	sizes, _ = pages(t, func(token *string) (items []string, next *string, err error) {
		out, err := b.s.describeStackEvents(t.Context(), b.c, &DescribeStackEventsInput{StackName: new("many"), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		for _, e := range out.StackEvents {
			if !last.IsZero() && !e.Timestamp.Before(last) {
				t.Errorf("%s %s is not older than what came before it", *e.LogicalResourceId, *e.ResourceStatus)
			}
			last = *e.Timestamp
			items = append(items, *e.EventId)
		}
		return items, out.NextToken, nil
	})
	// The stack begins twice and ends once; each group begins, is initiated and is complete.
	if want := []int{100, 100, 100, 100, 100, 100, 6}; !slices.Equal(sizes, want) {
		t.Errorf("DescribeStackEvents pages of %v, want %v", sizes, want)
	}
	out, err := b.s.describeStackResources(t.Context(), b.c, &DescribeStackResourcesInput{StackName: new("many")})
	if err != nil || len(out.StackResources) != 100 {
		t.Errorf("DescribeStackResources: %d %v", len(out.StackResources), err)
	}
}

func TestPagesOfStacks(t *testing.T) {
	b := idleBench(t)
	err := b.store.Update(t.Context(), func(tx *kv.Tx) error {
		for i := range 230 {
			name := fmt.Sprintf("s%03d", i)
			row := newStack(b.c, name)
			if row.Status = "CREATE_COMPLETE"; i%2 == 1 {
				row.Status, row.Deleted = "DELETE_COMPLETE", &row.Created
			}
			if err := putRow(tx, stackKey(b.c.Account, b.c.Region, row.ID), row); err != nil {
				return err
			}
			if err := putRow(tx, exportKey(b.c.Account, b.c.Region, name), exportRow{row.ID, name}); err != nil {
				return err
			}
			if err := putRow(tx, importKey(b.c.Account, b.c.Region, "x", row.ID), importRow{name}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	list := func(filter ...string) func(token *string) (items []string, next *string, err error) {
		return func(token *string) (items []string, next *string, err error) {
			out, err := b.s.listStacks(t.Context(), b.c, &ListStacksInput{NextToken: token, StackStatusFilter: filter})
			if err != nil {
				return nil, nil, err
			}
			for _, s := range out.StackSummaries {
				items = append(items, *s.StackId)
			}
			return items, out.NextToken, nil
		}
	}
	asks := []struct {
		name string
		ask  func(token *string) (items []string, next *string, err error)
		want []int
	}{
		{"ListStacks", list(), []int{100, 100, 30}},
		{"ListStacks of some", list("CREATE_COMPLETE", "UPDATE_COMPLETE"), []int{100, 15}},
		{"ListStacks of none", list("ROLLBACK_FAILED"), []int{0}},
		{"DescribeStacks", func(token *string) (items []string, next *string, err error) {
			out, err := b.s.describeStacks(t.Context(), b.c, &DescribeStacksInput{NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			for _, s := range out.Stacks {
				items = append(items, *s.StackId)
			}
			return items, out.NextToken, nil
		}, []int{100, 15}},
		{"ListExports", func(token *string) (items []string, next *string, err error) {
			out, err := b.s.listExports(t.Context(), b.c, &ListExportsInput{NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			for _, e := range out.Exports {
				items = append(items, *e.Name)
			}
			return items, out.NextToken, nil
		}, []int{100, 100, 30}},
		{"ListImports", func(token *string) (items []string, next *string, err error) {
			out, err := b.s.listImports(t.Context(), b.c, &ListImportsInput{ExportName: new("x"), NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			return out.Imports, out.NextToken, nil
		}, []int{100, 100, 30}},
	}
	for _, tt := range asks {
		if sizes, _ := pages(t, tt.ask); !slices.Equal(sizes, tt.want) {
			t.Errorf("%s: pages of %v, want %v", tt.name, sizes, tt.want)
		}
		if _, _, err := tt.ask(new("!")); message(err) != "Invalid NextToken" {
			t.Errorf("%s with another's token: %v", tt.name, err)
		}
	}
}

// Of two stacks that export one name at once the one that comes second goes back, and takes nothing away
// from the first.
func TestExportRace(t *testing.T) {
	const template = `{"Resources": {"A": {"Type": "AWS::Logs::LogGroup"}}, "Outputs": {"O": {"Value": "v", "Export": {"Name": "x"}}}}`
	for range 10 {
		b := idleBench(t)
		names := []string{"one", "two"}
		for _, name := range names {
			b.create(name, template)
		}
		b.run()
		var got []string
		for _, name := range names {
			got = append(got, *b.settle(name).StackStatus)
		}
		slices.Sort(got)
		if want := []string{"CREATE_COMPLETE", "ROLLBACK_COMPLETE"}; !slices.Equal(got, want) {
			t.Fatalf("got %v", got)
		}
		for _, name := range names {
			if *b.stack(name).StackStatus == "ROLLBACK_COMPLETE" {
				id := *b.stack(name).StackId
				b.delete(name)
				b.want(id, "DELETE_COMPLETE")
			}
		}
		if out, err := b.s.listExports(t.Context(), b.c, &ListExportsInput{}); err != nil || len(out.Exports) != 1 {
			t.Fatalf("exports %v %v", out, err)
		}
	}
}
