package cloudformation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/cfn"
)

// putTemplate stores a template's text under its hash.
func putTemplate(tx *kv.Tx, ref stackRef, text []byte) (string, error) {
	sum := sha256.Sum256(text)
	hash := hex.EncodeToString(sum[:])
	z, err := compress(text)
	if err != nil {
		return "", err
	}
	tx.Set(templateKey(ref.account, ref.region, ref.id, hash), append([]byte{rowGzip}, z...))
	return hash, nil
}

func getTemplate(ctx context.Context, r kv.Reader, ref stackRef, hash string) ([]byte, error) {
	b, err := r.Get(ctx, templateKey(ref.account, ref.region, ref.id, hash))
	if err != nil {
		return nil, err
	}
	if len(b) == 0 || b[0] != rowGzip {
		return nil, fmt.Errorf("template %s of stack %s is missing or in an unknown format", hash, ref.id)
	}
	return decompress(b[1:])
}

// compiled is a template with what it takes to evaluate it for one stack.
type compiled struct {
	scope *cfn.Scope
	body  cfn.Body // after the transforms

}

// scopeOf loads the template of a target and gives its scope.
func (s *Service) scopeOf(ctx context.Context, stack *stackRow, t target, id identity) (*cfn.Scope, error) {
	var text []byte
	err := s.kv.View(ctx, func(r kv.Reader) (err error) {
		text, err = getTemplate(ctx, r, stackRef{stack.Account, stack.Region, stack.ID}, t.Template)
		return err
	})
	if err != nil {
		return nil, err
	}
	c, err := s.compile(ctx, text, stack, t, id)
	if err != nil {
		return nil, err
	}
	return c.scope, nil
}

// compile takes a template's text through all steps but evaluation.
func (s *Service) compile(ctx context.Context, text []byte, stack *stackRow, t target, id identity) (*compiled, error) {
	body, err := cfn.Decode(text)
	if err != nil {
		return nil, err
	}
	declared, err := body.Parameters()
	if err != nil {
		return nil, err
	}
	values := s.pseudo(stack)
	for name, p := range declared {
		v, ok := t.Parameters[name]
		if p.FromStore() {
			v, ok = t.Resolved[name]
		}
		if ok {
			values[name] = p.Value(v)
		}
	}
	if body, err = body.Expand(values); err != nil {
		return nil, err
	}
	tpl, err := body.Compile()
	if err != nil {
		return nil, err
	}
	scope := cfn.NewScope(tpl, values)
	scope.Zones = zones
	scope.Resolve = s.plainReferences(ctx, id)
	return &compiled{scope: scope, body: body}, nil
}

// pseudo returns the pseudo parameters of a stack.
func (s *Service) pseudo(stack *stackRow) map[string]any {
	return map[string]any{
		"AWS::AccountId": stack.Account, "AWS::Region": stack.Region, "AWS::Partition": cloud.Partition,
		"AWS::StackId": stack.ID, "AWS::StackName": stack.Name, "AWS::URLSuffix": s.domain, "AWS::NotificationARNs": []any{},
	}
}

// zones names the availability zones of a region: any region has three here.
func zones(region string) []string { return []string{region + "a", region + "b", region + "c"} }

// storeParameters reads the values of parameters that name SSM parameters.
func (s *Service) storeParameters(ctx context.Context, declared map[string]*cfn.Parameter, bound map[string]string, id identity) (map[string]string, error) {
	out := map[string]string{}
	var unknown []string
	for _, name := range sortedKeys(declared) {
		if !declared[name].FromStore() {
			continue
		}
		v, err := s.storeParameter(ctx, bound[name], false, id)
		if missing(err) {
			unknown = append(unknown, bound[name])
			continue
		}
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	if unknown != nil {
		return nil, invalid("Unable to fetch parameters [%s] from parameter store for this account.", strings.Join(unknown, ","))
	}
	return out, nil
}

func (s *Service) storeParameter(ctx context.Context, name string, secret bool, id identity) (string, error) {
	out, err := s.call.Call(ctx, id.caller("", time.Now().UTC()), "ssm", "GetParameter",
		map[string]any{"Name": name, "WithDecryption": secret})
	if err != nil {
		return "", err
	}
	return str(out, "Parameter", "Value"), nil
}

// plainReferences resolves dynamic references to plain parameters. Secrets stay as they are written: they
// are read when a service is called, see reveal, and never stored or shown.
func (s *Service) plainReferences(ctx context.Context, id identity) func(cfn.Dynamic) (any, error) {
	return func(d cfn.Dynamic) (any, error) {
		if d.Service != "ssm" {
			return d.String(), nil
		}
		v, err := s.storeParameter(ctx, d.Ref, false, id)
		if missing(err) {
			return nil, invalid("Unable to fetch parameters [%s] from parameter store for this account.", d.Ref)
		}
		return v, err
	}
}

// reveal puts secrets in the place of the references to them, in the properties of one call.
func (x *execution) reveal(ctx context.Context, w *work) error {
	resolve := func(d cfn.Dynamic) (any, error) {
		switch d.Service {
		case "ssm-secure":
			return x.s.storeParameter(ctx, d.Ref, true, x.op.Identity)
		case "secretsmanager":
			return x.s.secret(ctx, d.Ref, x.op.Identity)
		}
		return d.String(), nil
	}
	for _, props := range []*map[string]any{&w.Props, &w.Old} {
		if *props == nil {
			continue
		}
		v, err := replaceSecrets(*props, resolve)
		if err != nil {
			return err
		}
		*props = v.(map[string]any)
	}
	return nil
}

func replaceSecrets(v any, resolve func(cfn.Dynamic) (any, error)) (any, error) {
	switch v := v.(type) {
	case string:
		if strings.Contains(v, "{{resolve:") {
			return cfn.ReplaceDynamic(v, resolve)
		}
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			r, err := replaceSecrets(e, resolve)
			if err != nil {
				return nil, err
			}
			out[i] = r
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			r, err := replaceSecrets(e, resolve)
			if err != nil {
				return nil, err
			}
			out[k] = r
		}
		return out, nil
	}
	return v, nil
}

// secret reads secret-id:SecretString:json-key:version-stage:version-id; all but the id may be left out.
func (s *Service) secret(ctx context.Context, ref string, id identity) (string, error) {
	name, rest, _ := strings.Cut(ref, ":SecretString")
	parts := strings.Split(strings.TrimPrefix(rest, ":"), ":")
	in := map[string]any{"SecretId": name}
	if len(parts) > 1 && parts[1] != "" {
		in["VersionStage"] = parts[1]
	}
	if len(parts) > 2 && parts[2] != "" {
		in["VersionId"] = parts[2]
	}
	out, err := s.call.Call(ctx, id.caller("", time.Now().UTC()), "secretsmanager", "GetSecretValue", in)
	if err != nil {
		return "", err
	}
	text := str(out, "SecretString")
	if parts[0] == "" {
		return text, nil
	}
	body, err := cfn.Decode([]byte(text))
	if err != nil {
		return "", invalid("Could not parse SecretString JSON")
	}
	value, ok := cfn.Text(body[parts[0]])
	if !ok {
		return "", invalid("Could not find a value associated with JSONKey in SecretString")
	}
	return value, nil
}

// checkTypes refuses a template with resource types that do not exist here, or that ask types for
// attributes which they do not have.
func (s *Service) checkTypes(t *cfn.Template) error {
	var strange []string
	for _, id := range sortedKeys(t.Resources) {
		name := t.Resources[id].Type
		if s.types[name] == nil && !slices.Contains(strange, name) {
			strange = append(strange, name)
		}
	}
	if strange != nil {
		slices.Sort(strange)
		return invalid("Template format error: Unrecognized resource types: [%s]", strings.Join(strange, ", "))
	}
	for _, id := range sortedKeys(t.Resources) {
		refs, err := cfn.References(map[string]any(t.Resources[id].Properties), nil)
		if err != nil {
			return err
		}
		for _, ref := range refs {
			r := t.Resources[ref.Name]
			if r != nil && ref.GetAtt && ref.Attribute != "" && !s.types[r.Type].hasAttribute(ref.Attribute) {
				return invalid("Template error: resource %s does not support attribute type %s in Fn::GetAtt", ref.Name, ref.Attribute)
			}
		}
	}
	return nil
}

// capabilities says what a template needs to be acknowledged, and why.
func (s *Service) capabilities(t *cfn.Template) (needed []string, reason string) {
	var named, plain []string
	for _, id := range sortedKeys(t.Resources) {
		r := t.Resources[id]
		rt := s.types[r.Type]
		if rt == nil || !rt.IAM {
			continue
		}
		label := "[" + r.Type + "]"
		if n := rt.schema.nameField(); n != "" && r.Properties[n] != nil {
			named = append(named, label)
		} else {
			plain = append(plain, label)
		}
	}
	switch {
	case named != nil:
		return []string{"CAPABILITY_NAMED_IAM"}, because(named)
	case plain != nil:
		return []string{"CAPABILITY_IAM"}, because(plain)
	}
	return nil, ""
}

func because(labels []string) string {
	labels = slices.Clone(labels)
	slices.Sort(labels)
	return "The following resource(s) require capabilities: " + strings.Join(slices.Compact(labels), ", ")
}

// acknowledge checks that the caller acknowledged what the template needs. A change set may leave out
// CAPABILITY_AUTO_EXPAND: its author sees what the transforms made.
func (s *Service) acknowledge(t *cfn.Template, given []string, changeSet bool) error {
	needed, _ := s.capabilities(t)
	if len(needed) > 0 && !slices.Contains(given, needed[0]) && (needed[0] != "CAPABILITY_IAM" || !slices.Contains(given, "CAPABILITY_NAMED_IAM")) {
		return &cloud.Fault{Code: "InsufficientCapabilitiesException", Message: "Requires capabilities : [" + needed[0] + "]"}
	}
	if len(t.Transforms) > 0 && !changeSet && !slices.Contains(given, "CAPABILITY_AUTO_EXPAND") {
		return &cloud.Fault{Code: "InsufficientCapabilitiesException", Message: "Requires capabilities : [CAPABILITY_AUTO_EXPAND]"}
	}
	return nil
}

// maskValues replaces the values of NoEcho parameters in what is shown.
func maskValues(v any, t target) any {
	var secrets []string
	for _, name := range t.Masked {
		if s := t.Parameters[name]; len(s) > 0 {
			secrets = append(secrets, s)
		}
	}
	if secrets == nil {
		return v
	}
	return maskText(v, secrets)
}

func maskText(v any, secrets []string) any {
	switch v := v.(type) {
	case string:
		for _, s := range secrets {
			v = strings.ReplaceAll(v, s, cfn.Masked)
		}
		return v
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = maskText(e, secrets)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = maskText(e, secrets)
		}
		return out
	}
	return v
}
