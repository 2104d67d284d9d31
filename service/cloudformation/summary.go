package cloudformation

import (
	"context"
	"slices"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/cfn"
)

// getTemplate answers GetTemplate. JSON and YAML come back as they were sent; the processed form of a
// template with transforms is JSON.
func (s *Service) getTemplate(ctx context.Context, c cloud.Caller, in *GetTemplateInput) (*GetTemplateOutput, error) {
	var stack *stackRow
	var t target
	err := s.kv.View(ctx, func(r kv.Reader) (err error) {
		if in.ChangeSetName != nil {
			set, err := s.changeSet(ctx, r, c, *in.ChangeSetName, in.StackName)
			if err != nil {
				return err
			}
			t = set.Target
			stack, err = s.stack(ctx, r, c, set.Stack)
			return err
		}
		if in.StackName == nil {
			return invalid("StackName is a required parameter.")
		}
		stack, err = s.stack(ctx, r, c, *in.StackName)
		if err == nil {
			t = stack.Current
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if t.Template == "" {
		return nil, invalid("Stack with id %s has no template", stack.Name)
	}
	var text []byte
	err = s.kv.View(ctx, func(r kv.Reader) (err error) {
		text, err = getTemplate(ctx, r, stackRef{c.Account, c.Region, stack.ID}, t.Template)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &GetTemplateOutput{TemplateBody: new(string(text)), StagesAvailable: []string{"Original", "Processed"}}
	if cloud.Val(in.TemplateStage) != "Processed" {
		return out, nil
	}
	compiled, err := s.compile(ctx, text, stack, t, identityOf(c))
	if err != nil {
		return nil, err
	}
	if len(compiled.scope.Template.Transforms) > 0 {
		processed := cfn.Body{}
		for k, v := range compiled.body {
			if k != "Transform" {
				processed[k] = v
			}
		}
		body, err := cfn.Encode(processed)
		if err != nil {
			return nil, err
		}
		out.TemplateBody = &body
	}
	return out, nil
}

// overview compiles a template of which no stack is made: parameters have their defaults.
func (s *Service) overview(ctx context.Context, c cloud.Caller, text []byte) (*cfn.Template, error) {
	body, err := cfn.Decode(text)
	if err != nil {
		return nil, err
	}
	declared, err := body.Parameters()
	if err != nil {
		return nil, err
	}
	stack := newStack(c, "template")
	t := target{Parameters: map[string]string{}, Resolved: map[string]string{}}
	for name, p := range declared {
		if p.Default != nil {
			t.Parameters[name], t.Resolved[name] = *p.Default, *p.Default
		} else if p.IsList() {
			// A loop over a list that nobody has given yet unrolls to nothing.
			t.Parameters[name], t.Resolved[name] = "", ""
		}
	}
	compiled, err := s.compile(ctx, text, stack, t, identityOf(c))
	if err != nil {
		return nil, err
	}
	return compiled.scope.Template, nil
}

// validateTemplate answers ValidateTemplate.
func (s *Service) validateTemplate(ctx context.Context, c cloud.Caller, in *ValidateTemplateInput) (*ValidateTemplateOutput, error) {
	text, err := s.text(ctx, c, in.TemplateBody, in.TemplateURL)
	if err != nil {
		return nil, err
	}
	if text == nil {
		return nil, invalid("Either Template URL or Template Body must be specified.")
	}
	t, err := s.overview(ctx, c, text)
	if err != nil {
		return nil, err
	}
	if err := s.checkTypes(t); err != nil {
		return nil, err
	}
	out := &ValidateTemplateOutput{Description: optional(t.Description), DeclaredTransforms: t.Transforms, Parameters: []TemplateParameter{}}
	var reason string
	if out.Capabilities, reason = s.capabilities(t); reason != "" {
		out.CapabilitiesReason = &reason
	}
	for _, name := range sortedKeys(t.Parameters) {
		p := t.Parameters[name]
		out.Parameters = append(out.Parameters, TemplateParameter{ParameterKey: &p.Name, DefaultValue: p.Default, NoEcho: &p.NoEcho,
			Description: optional(p.Description)})
	}
	return out, nil
}

// getTemplateSummary answers GetTemplateSummary.
func (s *Service) getTemplateSummary(ctx context.Context, c cloud.Caller, in *GetTemplateSummaryInput) (*GetTemplateSummaryOutput, error) {
	if in.StackSetName != nil {
		return nil, cloud.NotImplemented("GetTemplateSummary of a stack set")
	}
	text, err := s.summaryText(ctx, c, in)
	if err != nil {
		return nil, err
	}
	t, err := s.overview(ctx, c, text)
	if err != nil {
		return nil, err
	}
	out := &GetTemplateSummaryOutput{Description: optional(t.Description), DeclaredTransforms: t.Transforms, Parameters: []ParameterDeclaration{}}
	var reason string
	if out.Capabilities, reason = s.capabilities(t); reason != "" {
		out.CapabilitiesReason = &reason
	}
	if v, ok := t.Body["AWSTemplateFormatVersion"].(string); ok {
		out.Version = &v
	}
	if t.Metadata != nil {
		m, err := cfn.Encode(t.Metadata)
		if err != nil {
			return nil, err
		}
		out.Metadata = &m
	}
	for _, id := range sortedKeys(t.Resources) {
		if name := t.Resources[id].Type; !slices.Contains(out.ResourceTypes, name) {
			out.ResourceTypes = append(out.ResourceTypes, name)
		}
	}
	slices.Sort(out.ResourceTypes)
	out.ResourceIdentifierSummaries = s.identifiers(t, out.ResourceTypes)
	for _, name := range sortedKeys(t.Parameters) {
		p := t.Parameters[name]
		d := ParameterDeclaration{ParameterKey: &p.Name, DefaultValue: p.Default, ParameterType: &p.Type, NoEcho: &p.NoEcho,
			Description: optional(p.Description), ParameterConstraints: &ParameterConstraints{AllowedValues: p.Allowed}}
		out.Parameters = append(out.Parameters, d)
	}
	return out, nil
}

// identifiers says by which property each resource would be imported.
func (s *Service) identifiers(t *cfn.Template, types []string) []ResourceIdentifierSummary {
	var out []ResourceIdentifierSummary
	for _, name := range types {
		rt := s.types[name]
		if rt == nil || rt.schema.nameField() == "" {
			continue
		}
		sum := ResourceIdentifierSummary{ResourceType: &name, ResourceIdentifiers: []string{rt.schema.nameField()}}
		for _, id := range sortedKeys(t.Resources) {
			if t.Resources[id].Type == name {
				sum.LogicalResourceIds = append(sum.LogicalResourceIds, id)
			}
		}
		out = append(out, sum)
	}
	return out
}

func (s *Service) summaryText(ctx context.Context, c cloud.Caller, in *GetTemplateSummaryInput) ([]byte, error) {
	text, err := s.text(ctx, c, in.TemplateBody, in.TemplateURL)
	if err != nil || text != nil {
		return text, err
	}
	if in.StackName == nil {
		return nil, invalid("Either Template URL or Template Body must be specified.")
	}
	err = s.kv.View(ctx, func(r kv.Reader) error {
		stack, err := s.stack(ctx, r, c, *in.StackName)
		if err != nil {
			return err
		}
		if stack.Status == "REVIEW_IN_PROGRESS" {
			return invalid("GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks.")
		}
		text, err = getTemplate(ctx, r, stackRef{c.Account, c.Region, stack.ID}, stack.Current.Template)
		return err
	})
	return text, err
}
