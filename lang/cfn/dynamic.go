package cfn

import "strings"

// A Dynamic is one dynamic reference: {{resolve:ssm:name:version}} or {{resolve:secretsmanager:id:…}}.
type Dynamic struct {
	Service string // "ssm", "ssm-secure" or "secretsmanager"
	Ref     string // what follows the service
}

const dynamicOpen = "{{resolve:"

// dynamic replaces the dynamic references in text by what Resolve gives for them. Without Resolve they stay:
// secrets are resolved only when a service is called, and never stored.
func (s *Scope) dynamic(text string) (any, error) {
	if s.Resolve == nil || !strings.Contains(text, dynamicOpen) {
		return text, nil
	}
	out, err := ReplaceDynamic(text, s.Resolve)
	if err != nil {
		return nil, err
	}
	if t, ok := out.(string); ok {
		return out, s.spend(len(t))
	}
	return out, nil
}

// ReplaceDynamic replaces each dynamic reference in text. resolve may return the reference's own text to
// leave it, a string, or an [Unknown], which makes the whole unknown.
func ReplaceDynamic(text string, resolve func(Dynamic) (any, error)) (any, error) {
	var b strings.Builder
	for {
		i := strings.Index(text, dynamicOpen)
		if i < 0 {
			b.WriteString(text)
			return b.String(), nil
		}
		end := strings.Index(text[i:], "}}")
		if end < 0 {
			b.WriteString(text)
			return b.String(), nil
		}
		b.WriteString(text[:i])
		service, ref, ok := strings.Cut(text[i+len(dynamicOpen):i+end], ":")
		if !ok || ref == "" || service != "ssm" && service != "ssm-secure" && service != "secretsmanager" {
			return nil, invalid("Template error: Could not parse dynamic reference: %s", text[i:i+end+2])
		}
		v, err := resolve(Dynamic{service, ref})
		if err != nil {
			return nil, err
		}
		if v == any(Unknown{}) {
			return v, nil
		}
		t, _ := Text(v)
		b.WriteString(t)
		text = text[i+end+2:]
	}
}

// String returns the reference as it is written.
func (d Dynamic) String() string { return dynamicOpen + d.Service + ":" + d.Ref + "}}" }
