package cloudformation

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/lang/cfn"
)

// A resourceType is how resources of one type are made, changed and deleted through the operations of
// another service. Its functions get a [work] and may be called again after a crash with the same work:
// they must come to the same end, which the helpers of work make easy.
type resourceType struct {
	Name    string // AWS::Lambda::Function
	Service string // whose operations work.call names
	Schema  string // properties, see schema
	Lower   bool   // the service's members begin in lower case
	IAM     bool   // needs CAPABILITY_IAM, or CAPABILITY_NAMED_IAM when it is named
	Stamped bool   // its tags tell which stack made it: see stamp

	// Attributes are what Fn::GetAtt may ask for: what Create leaves in work.Attributes, or a property.
	Attributes []string

	// NameLength bounds the name that a resource gets whose author gave none; 0 when the service makes ids
	// of its own, which Find must be able to find then.
	NameLength int
	NameLower  bool

	// ID is the physical id where it is known before the resource is made and is not just its name.
	ID func(w *work) string

	// Before looks around before the resource is made: it fails when something else has the name, and
	// leaves notes that Create or Delete will want. It changes nothing.
	Before func(w *work) error

	// Find looks for what an interrupted Create made, and sets w.ID when it finds it.
	Find func(w *work) error

	Create func(w *work) error // sets w.ID as soon as there is something to delete
	Update func(w *work) error // nil when every change needs a new resource; w.Old says what was
	Delete func(w *work) error // finding nothing is success

	schema *schema
}

// tagsMember returns the shape of the type's Tags: "list", "map" or "" for a type without.
func (t *resourceType) tagsMember() string {
	f := t.schema.fields["Tags"]
	if f == nil {
		return ""
	}
	return f.kind
}

// hasAttribute tells whether Fn::GetAtt may name the attribute.
func (t *resourceType) hasAttribute(name string) bool { return slices.Contains(t.Attributes, name) }

// named tells whether the author gave the resource its name.
func (t *resourceType) named(props map[string]any) bool {
	n := t.schema.nameField()
	return n != "" && props[n] != nil
}

// A work is one thing to do for a resource, with the way to the other services.
type work struct {
	ctx     context.Context
	Type    *resourceType
	Stack   string // name
	StackID string
	Logical string
	Account string
	Region  string
	Domain  string

	Props      map[string]any // as they should be; the stack's tags are in Tags
	Old        map[string]any // as they were, when updating
	ID         string         // physical id
	Name       string         // reserved for it
	Attributes map[string]any
	Notes      map[string]any
	Resumed    bool // an earlier attempt may have been made already
	Claimed    func(id string) bool
	touched    bool // a call may have changed something

	do func(ctx context.Context, service, operation string, in map[string]any) (map[string]any, error)
}

// text returns a property that is a string, "" when it is not given.
func (w *work) text(property string) string {
	s, _ := cfn.Text(w.Props[property])
	return s
}

// call calls an operation of the type's service.
func (w *work) call(operation string, in map[string]any) (map[string]any, error) {
	return w.callOf(w.Type.Service, operation, in)
}

// callOf calls an operation of another service.
func (w *work) callOf(service, operation string, in map[string]any) (map[string]any, error) {
	return w.do(w.ctx, service, operation, in)
}

// in builds the input of an operation from the properties given by name; "Property>member" renames one.
// Properties that are not set are left out.
func (w *work) in(properties ...string) map[string]any {
	return w.inOf(w.Props, properties...)
}

func (w *work) inOf(props map[string]any, properties ...string) map[string]any {
	out := map[string]any{}
	for _, p := range properties {
		name, member, renamed := strings.Cut(p, ">")
		if !renamed {
			member = memberName(name, w.Type.Lower)
		}
		v, ok := props[name]
		if !ok {
			continue
		}
		out[member] = w.Type.schema.fields[name].api(v, w.Type.Lower)
	}
	return out
}

// make calls the operation that makes the resource. When an earlier attempt was cut off, finding that it
// exists is success: nothing else had the name before.
func (w *work) make(operation string, in map[string]any) (map[string]any, error) {
	out, err := w.call(operation, in)
	if w.Resumed && exists(err) {
		return map[string]any{}, nil
	}
	return out, err
}

// changed tells whether one of the properties differs from what was; all count as changed when there was
// nothing.
func (w *work) changed(properties ...string) bool {
	if w.Old == nil {
		return true
	}
	return slices.ContainsFunc(properties, func(p string) bool {
		_, was := w.Old[p]
		_, is := w.Props[p]
		return was != is || is && !cfn.Equal(w.Old[p], w.Props[p])
	})
}

// sets tells whether there is something to do for a property: it changed, and is given or was.
func (w *work) sets(property string) bool {
	return w.changed(property) && (w.Props[property] != nil || w.Old[property] != nil)
}

// reads tells whether an operation changes nothing, by AWS's verbs.
func reads(operation string) bool {
	for _, verb := range []string{"Get", "List", "Describe", "Head"} {
		if strings.HasPrefix(operation, verb) {
			return true
		}
	}
	return false
}

// refused tells whether err is a service's answer that it did not do what it was asked for.
func refused(err error) bool {
	var f *cloud.Fault
	return errors.As(err, &f) && (f.Status < 500 || f.Status == 501)
}

// absent makes a Before: read must say that there is nothing of the name that the author chose.
func absent(read func(w *work) error) func(w *work) error {
	return func(w *work) error {
		if !w.Type.named(w.Props) {
			return nil
		}
		err := read(w)
		switch {
		case err == nil:
			return &cloud.Fault{Code: "AlreadyExistsException", Message: w.Name + " already exists", Status: 409}
		case missing(err):
			return nil
		}
		return err
	}
}

// exists tells whether err says that the thing to be made is there already.
func exists(err error) bool {
	code := cloud.FaultCode(err)
	return strings.Contains(code, "AlreadyExists") || strings.Contains(code, "AlreadyOwned") || strings.Contains(code, "Conflict")
}

// missing tells whether err says that the thing does not exist.
func missing(err error) bool {
	var f *cloud.Fault
	if !errors.As(err, &f) {
		return false
	}
	return f.Status == 404 || strings.Contains(f.Code, "NotFound") || strings.Contains(f.Code, "NoSuch") || f.Code == "404"
}

// gone returns err unless it says that the thing to be deleted is not there.
func gone(err error) error {
	if missing(err) {
		return nil
	}
	return err
}

// at returns the value below the keys in an answer.
func at(v any, keys ...string) any {
	for _, k := range keys {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

// str returns the text of the value below the keys.
func str(v any, keys ...string) string {
	s, _ := cfn.Text(at(v, keys...))
	return s
}

// items returns the list below the keys.
func items(v any, keys ...string) []any {
	list, _ := at(v, keys...).([]any)
	return list
}

// tagMap returns tags, a list of Key and Value or a map, as a map.
func tagMap(v any) map[string]any {
	out := map[string]any{}
	switch v := v.(type) {
	case map[string]any:
		maps.Copy(out, v)
	case []any:
		for _, t := range v {
			out[str(t, "Key")] = str(t, "Value")
		}
	}
	return out
}

// tagList returns tags as a list of Key and Value, sorted by key.
func tagList(v any) []any {
	m := tagMap(v)
	out := []any{}
	for _, k := range sortedKeys(m) {
		out = append(out, map[string]any{"Key": k, "Value": m[k]})
	}
	return out
}

// tagChanges says which tags to set and which keys to remove.
func (w *work) tagChanges() (set map[string]any, remove []any) {
	was, is := tagMap(w.Old["Tags"]), tagMap(w.Props["Tags"])
	set, remove = map[string]any{}, []any{}
	for _, k := range sortedKeys(is) {
		if was[k] != is[k] {
			set[k] = is[k]
		}
	}
	for _, k := range sortedKeys(was) {
		if _, kept := is[k]; !kept {
			remove = append(remove, k)
		}
	}
	return set, remove
}

// document returns a policy document as JSON text. Service principals that were written with
// ${AWS::URLSuffix} mean those of amazonaws.com, whatever this cloud calls itself.
func (w *work) document(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	out, err := cfn.Encode(principals(v, w.Domain))
	if err != nil {
		return ""
	}
	return out
}

func principals(v any, domain string) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if k == "Service" {
				e = awsPrincipal(e, domain)
			}
			out[k] = principals(e, domain)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = principals(e, domain)
		}
		return out
	}
	return v
}

func awsPrincipal(v any, domain string) any {
	switch v := v.(type) {
	case string:
		if name, ok := strings.CutSuffix(v, "."+domain); ok && domain != "" {
			return name + ".amazonaws.com"
		}
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = awsPrincipal(e, domain)
		}
		return out
	}
	return v
}

// physicalName makes a name out of stack, logical id and a random end, no longer than most.
func physicalName(stack, logical string, most int, lower bool) string {
	end := randomName(12)
	room := most - len(end) - 1
	if len(stack)+1+len(logical) > room {
		// Both parts shrink to what fits; the random end alone makes the name unique.
		half := room / 2
		logical = logical[:min(len(logical), max(half, room-1-len(stack)))]
		stack = stack[:min(len(stack), room-1-len(logical))]
	}
	name := stack + "-" + logical + "-" + end
	if lower {
		return strings.ToLower(name)
	}
	return name
}

func randomName(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

// number makes a JSON number of n.
func number(n string) json.Number { return json.Number(n) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// retag sets and removes the tags that differ, by operations that take a map of tags and a list of keys.
func (w *work) retag(tag, untag string, resource map[string]any, tagsMember, keysMember string) error {
	set, remove := w.tagChanges()
	if len(set) > 0 {
		in := maps.Clone(resource)
		in[tagsMember] = set
		if _, err := w.call(tag, in); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		in := maps.Clone(resource)
		in[keysMember] = remove
		if _, err := w.call(untag, in); err != nil {
			return err
		}
	}
	return nil
}

// notThere is the error of a Before or Find that read a list and found nothing of the name.
func notThere(name string) error {
	return &cloud.Fault{Code: "NotFoundException", Message: name + " does not exist", Status: 404}
}

// listing makes a Before and a Find for a type whose ids the service makes. Before notes which things
// that look alike exist already; Find takes the first that came since and is nobody else's.
func listing(operation string, in func(w *work) map[string]any, itemsKey, idKey string, match func(w *work, item any) bool) (before, find func(*work) error) {
	ids := func(w *work) ([]any, error) {
		var out []any
		request := in(w)
		for {
			page, err := w.call(operation, request)
			if err != nil {
				return nil, err
			}
			for _, item := range items(page, itemsKey) {
				if match(w, item) {
					out = append(out, str(item, idKey))
				}
			}
			switch {
			case str(page, "position") != "":
				request["position"] = str(page, "position")
			case str(page, "NextToken") != "":
				request["NextToken"] = str(page, "NextToken")
			case str(page, "NextMarker") != "":
				request["Marker"] = str(page, "NextMarker")
			default:
				return out, nil
			}
		}
	}
	before = func(w *work) error {
		known, err := ids(w)
		w.Notes["known"] = known
		return err
	}
	find = func(w *work) error {
		found, err := ids(w)
		if err != nil {
			return gone(err)
		}
		known, _ := w.Notes["known"].([]any)
		for _, id := range found {
			if !slices.Contains(known, id) && !w.Claimed(id.(string)) {
				w.ID = id.(string)
				return nil
			}
		}
		return nil
	}
	return before, find
}

// settings builds the input of an update: the properties that changed, and for those that are gone the
// value that the service gives when nothing is said.
func (w *work) settings(defaults map[string]any, properties ...string) map[string]any {
	out := map[string]any{}
	for _, p := range properties {
		if !w.changed(p) {
			continue
		}
		if _, given := w.Props[p]; given {
			maps.Copy(out, w.in(p))
		} else if d, ok := defaults[p]; ok {
			out[memberName(p, w.Type.Lower)] = d
		}
	}
	return out
}
