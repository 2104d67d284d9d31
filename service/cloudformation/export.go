package cloudformation

import (
	"context"
	"slices"
	"sort"
	"strings"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/cfn"
)

// refTo and getAtt answer the references of the target's template from what stands for its resources now.
func (x *execution) refTo(id string) (any, error) {
	row := x.rows[id]
	if row == nil || row.Cur == nil {
		return nil, invalid("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", id)
	}
	return row.Cur.ID, nil
}

func (x *execution) getAtt(id, attribute string) (any, error) {
	row := x.rows[id]
	if row == nil || row.Cur == nil {
		return nil, invalid("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", id)
	}
	return row.Cur.attribute(x.s.types[row.Cur.Type], attribute)
}

// attribute returns what Fn::GetAtt gives of the thing.
func (p *physical) attribute(t *resourceType, name string) (any, error) {
	if !t.hasAttribute(name) {
		return nil, invalid("Resource type %s does not support attribute {%s}.", t.Name, name)
	}
	if v, ok := p.Attributes[name]; ok {
		return v, nil
	}
	if v, ok := p.Properties[name]; ok {
		return v, nil
	}
	return "", nil
}

// importValue gives the value of another stack's export and notes that it is in use.
func (x *execution) importValue(ctx context.Context, name string) (any, error) {
	row, found, err := x.s.export(ctx, x.ref.account, x.ref.region, name)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, invalid("No export named %s found.%s", name, rollbackByUser)
	}
	x.uses[name] = true
	return row.Value, nil
}

func (s *Service) export(ctx context.Context, account, region, name string) (row exportRow, found bool, err error) {
	err = s.kv.View(ctx, func(r kv.Reader) error {
		found, err = getRow(ctx, r, exportKey(account, region, name), &row)
		return err
	})
	return row, found, err
}

// outputs evaluates the target's outputs.
func (x *execution) outputs() ([]outputRow, error) {
	var out []outputRow
	for _, name := range sortedKeys(x.scope.Template.Outputs) {
		o := x.scope.Template.Outputs[name]
		holds, err := x.scope.Holds(o.Condition)
		if err != nil {
			return nil, err
		}
		if !holds {
			continue
		}
		row, err := outputOf(x.scope, o)
		if err != nil {
			return nil, err
		}
		out = append(out, row)
	}
	return out, nil
}

func outputOf(scope *cfn.Scope, o *cfn.Output) (outputRow, error) {
	row := outputRow{Key: o.Name, Description: o.Description}
	v, err := scope.Value(o.Value)
	if err != nil {
		return row, err
	}
	var ok bool
	if row.Value, ok = cfn.Text(v); !ok {
		if list, isList := v.([]any); isList {
			parts := []string{}
			for _, e := range list {
				t, _ := cfn.Text(e)
				parts = append(parts, t)
			}
			row.Value = strings.Join(parts, ",")
		} else if !cfn.HasUnknown(v) {
			return row, invalid("Template format error: The Value field of every Outputs member must evaluate to a String.")
		}
	}
	if o.Export == nil {
		return row, nil
	}
	e, err := scope.Value(o.Export)
	if err != nil {
		return row, err
	}
	if row.Export, ok = cfn.Text(e); !ok || row.Export == "" {
		return row, invalid("Template format error: Output %s is malformed. The Name field of every Export member must be specified, evaluate to a String and not consist of whitespace only.", o.Name)
	}
	return row, nil
}

// exportConflict says why the target's exports cannot be: a name is another stack's, or an export that
// somebody imports would change or go.
func (x *execution) exportConflict(ctx context.Context) (string, error) {
	next := map[string]string{}
	for _, o := range x.op.Outputs {
		if o.Export != "" {
			next[o.Export] = o.Value
		}
	}
	for _, name := range sortedKeys(next) {
		row, found, err := x.s.export(ctx, x.ref.account, x.ref.region, name)
		if err != nil {
			return "", err
		}
		if found && row.Stack != x.stack.ID {
			return "Export with name " + name + " is already exported by stack " + stackName(row.Stack) + "." + rollbackByUser, nil
		}
	}
	for _, o := range x.stack.Outputs {
		value, kept := next[o.Export]
		if o.Export == "" || kept && value == o.Value {
			continue
		}
		users, err := x.s.importers(ctx, x.ref.account, x.ref.region, o.Export, x.stack.ID)
		if err != nil {
			return "", err
		}
		if len(users) > 0 {
			return inUse(o.Export, kept, users), nil
		}
	}
	return "", nil
}

func inUse(export string, kept bool, users []string) string {
	verb := "deleted"
	if kept {
		verb = "updated"
	}
	return "Export " + export + " cannot be " + verb + " as it is in use by " + strings.Join(users, ", ")
}

// importers lists the names of the stacks, besides the exporting one, that import an export.
func (s *Service) importers(ctx context.Context, account, region, export, exporter string) ([]string, error) {
	var out []string
	err := s.kv.View(ctx, func(r kv.Reader) error {
		out = nil
		rows, err := r.Scan(ctx, kv.Prefix(account, region, "import", export))
		if err != nil {
			return err
		}
		for _, row := range rows {
			var i importRow
			if err := decodeRow(row.Value, &i); err != nil {
				return err
			}
			parts, err := kv.Unkey(row.Key)
			if err != nil {
				return err
			}
			if parts[4] != exporter {
				out = append(out, i.StackName)
			}
		}
		sort.Strings(out)
		return nil
	})
	return out, err
}

// putExports writes the stack's exports and imports, and removes those that it had and has no more.
func (x *execution) putExports(ctx context.Context, tx *kv.Tx, had []outputRow, imported []string) error {
	a, r := x.ref.account, x.ref.region
	for _, o := range had {
		if o.Export != "" {
			tx.Delete(exportKey(a, r, o.Export))
		}
	}
	for _, o := range x.stack.Outputs {
		if o.Export == "" {
			continue
		}
		var other exportRow
		found, err := getRow(ctx, tx, exportKey(a, r, o.Export), &other)
		if err != nil {
			return err
		}
		if found && other.Stack != x.stack.ID {
			return errOvertaken // another stack was first with the name: look again, and fail as that finds
		}
		if err := putRow(tx, exportKey(a, r, o.Export), exportRow{x.stack.ID, o.Value}); err != nil {
			return err
		}
	}
	for _, name := range imported {
		if !slices.Contains(x.stack.Imports, name) {
			tx.Delete(importKey(a, r, name, x.stack.ID))
		}
	}
	for _, name := range x.stack.Imports {
		if err := putRow(tx, importKey(a, r, name, x.stack.ID), importRow{x.stack.Name}); err != nil {
			return err
		}
	}
	return nil
}

// listExports answers ListExports.
func (s *Service) listExports(ctx context.Context, c cloud.Caller, in *ListExportsInput) (*ListExportsOutput, error) {
	out := &ListExportsOutput{Exports: []Export{}}
	err := s.kv.View(ctx, func(r kv.Reader) error {
		rng := kv.Prefix(c.Account, c.Region, "export")
		after, err := pageAfter(in.NextToken)
		if err != nil {
			return err
		}
		if after != "" {
			rng.Begin = append(exportKey(c.Account, c.Region, after), 0)
		}
		rng.Limit = pageSize + 1
		rows, err := r.Scan(ctx, rng)
		if err != nil {
			return err
		}
		out.Exports, out.NextToken = []Export{}, nil
		for i, row := range rows {
			parts, err := kv.Unkey(row.Key)
			if err != nil {
				return err
			}
			if i == pageSize {
				out.NextToken = nextPage(*out.Exports[i-1].Name)
				break
			}
			var e exportRow
			if err := decodeRow(row.Value, &e); err != nil {
				return err
			}
			out.Exports = append(out.Exports, Export{ExportingStackId: &e.Stack, Name: new(parts[3].(string)), Value: &e.Value})
		}
		return nil
	})
	return out, err
}

// listImports answers ListImports.
func (s *Service) listImports(ctx context.Context, c cloud.Caller, in *ListImportsInput) (*ListImportsOutput, error) {
	after, err := pageAfter(in.NextToken)
	if err != nil {
		return nil, err
	}
	users, err := s.importers(ctx, c.Account, c.Region, *in.ExportName, "")
	if err != nil {
		return nil, err
	}
	if len(users) == 0 {
		return nil, invalid("Export '%s' is not imported by any stack.", *in.ExportName)
	}
	users = slices.DeleteFunc(users, func(name string) bool { return name <= after })
	out := &ListImportsOutput{Imports: users}
	if len(users) > pageSize {
		out.Imports, out.NextToken = users[:pageSize], nextPage(users[pageSize-1])
	}
	return out, nil
}
