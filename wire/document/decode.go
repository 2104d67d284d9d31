// Package document moves values between typed structures and the maps in which rooms speak to each other
// about operations that they know by name only: member names (not wire names) as keys, values as in the
// API's JSON form. service.Caller is made of it.
package document

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/wire/jsontext"
	"lambent/wire/plan"
)

// MaxDepth is how deep maps and lists may nest.
const MaxDepth = 128

// Options say what Decode lets pass.
type Options struct {
	// Coerce takes "5" for 5, "true" for true, and the other way round, as CloudFormation does with the properties of
	// its resources. It also takes one value where a list is expected.
	Coerce bool
}

// Decode fills a structure, given by pointer, from a map. Names that the model does not know are refused, all of
// them at once. The error is a *cloud.Fault that names each place, such as Tags[2].Key.
func Decode(in map[string]any, v any, o Options) error {
	s, err := plan.Open(v)
	if err != nil {
		return err
	}
	d := decoder{options: o}
	if err := d.structure(s, in, ""); err != nil {
		return err
	}
	if len(d.unknown) > 0 {
		slices.Sort(d.unknown)
		return cloud.Faultf("ValidationException", "Unknown parameter in input: %s", strings.Join(d.unknown, ", "))
	}
	return nil
}

type decoder struct {
	options Options
	depth   int
	unknown []string
}

func unfit(path string, s plan.Slot, v any) error {
	return cloud.Faultf("ValidationException", "Invalid type for parameter %s: %s can not be a %s", path, describe(v), s.Type().Kind)
}

func describe(v any) string {
	switch v := v.(type) {
	case map[string]any:
		return "a map"
	case []any:
		return "a list"
	case string:
		if len(v) > 64 {
			v = v[:64] + "…"
		}
		return strconv.Quote(v)
	}
	return fmt.Sprint(v)
}

func (d *decoder) structure(s plan.Slot, in map[string]any, path string) error {
	set := 0
	for _, name := range sortedKeys(in) {
		v := in[name]
		at := join(path, name)
		m := s.Type().Member(name)
		if m == nil {
			d.unknown = append(d.unknown, at)
			continue
		}
		if v == nil {
			continue
		}
		set++
		if err := d.value(s.Make(m, nil), v, at); err != nil {
			return err
		}
	}
	if s.Type().Union && set != 1 {
		return cloud.Faultf("ValidationException", "Exactly one member of %s must be set", path)
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (d *decoder) value(s plan.Slot, v any, path string) error {
	if d.depth++; d.depth > MaxDepth {
		return cloud.Faultf("ValidationException", "%s is nested too deeply", path)
	}
	defer func() { d.depth-- }()
	switch s.Type().Kind {
	case plan.Struct:
		if m, ok := v.(map[string]any); ok {
			return d.structure(s, m, path)
		}
	case plan.List:
		if l, ok := v.([]any); ok {
			return d.list(s, l, path)
		}
		if d.options.Coerce {
			return d.list(s, []any{v}, path)
		}
	case plan.Map:
		if m, ok := v.(map[string]any); ok {
			return d.entries(s, m, path)
		}
	case plan.Document:
		text, err := json.Marshal(v)
		if err == nil {
			s.SetBytes(text)
			return nil
		}
	case plan.Custom:
		if text, err := json.Marshal(v); err == nil {
			r := jsontext.NewReader(text)
			s.Direct().DecodeJSON(r)
			if r.End(); r.Err() == nil {
				return nil
			}
		}
	case plan.Blob:
		if b, ok := blob(v); ok {
			s.SetBytes(b)
			return nil
		}
	case plan.Stream:
		if r, ok := stream(v); ok {
			s.SetStream(r)
			return nil
		}
	default:
		if d.scalar(s, v) {
			return nil
		}
	}
	return unfit(path, s, v)
}

func (d *decoder) list(s plan.Slot, in []any, path string) error {
	s.MakeList()
	for i, v := range in {
		at := path + "[" + strconv.Itoa(i) + "]"
		if v != nil {
			if err := d.value(s.Append(nil), v, at); err != nil {
				return err
			}
		} else if !s.AppendNull() {
			return cloud.Faultf("ValidationException", "%s must not be null", at)
		}
	}
	return nil
}

func (d *decoder) entries(s plan.Slot, in map[string]any, path string) error {
	w := s.MakeMap(len(in))
	for _, k := range sortedKeys(in) {
		at := join(path, k)
		if v := in[k]; v != nil {
			if err := d.value(w.Value(nil), v, at); err != nil {
				return err
			}
			w.Put(k)
		} else if !w.PutNull(k) {
			return cloud.Faultf("ValidationException", "%s must not be null", at)
		}
	}
	return nil
}

// scalar sets s from v; ok is false when v is of another kind and may not be coerced.
func (d *decoder) scalar(s plan.Slot, v any) (ok bool) {
	kind := s.Type().Kind
	switch v := v.(type) {
	case string:
		return (kind == plan.String || kind == plan.Time || d.options.Coerce || namedFloat(kind, v)) && s.SetText(v, plan.Epoch)
	case bool:
		if kind == plan.Bool {
			s.SetBool(v)
			return true
		}
		return d.options.Coerce && kind == plan.String && s.SetText(strconv.FormatBool(v), plan.Epoch)
	case time.Time:
		if kind == plan.Time {
			s.SetTime(v)
			return true
		}
	case json.Number:
		return d.number(s, v.String())
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<63 {
			return d.number(s, strconv.FormatInt(int64(v), 10))
		}
		return d.number(s, string(plan.AppendFloat(nil, v, 64)))
	case int:
		return d.number(s, strconv.Itoa(v))
	case int32:
		return d.number(s, strconv.FormatInt(int64(v), 10))
	case int64:
		return d.number(s, strconv.FormatInt(v, 10))
	}
	return false
}

func namedFloat(k plan.Kind, v string) bool {
	return (k == plan.Float32 || k == plan.Float64) && (v == "NaN" || v == "Infinity" || v == "-Infinity")
}

func (d *decoder) number(s plan.Slot, text string) bool {
	kind := s.Type().Kind
	switch {
	case kind == plan.Bool || kind == plan.String && !d.options.Coerce:
		return false
	case kind == plan.Time: // a number is seconds, whatever format the member has in its protocol
		t, err := plan.ParseTime(text, plan.Epoch)
		s.SetTime(t)
		return err == nil
	}
	return s.SetText(text, plan.Epoch)
}

func blob(v any) ([]byte, bool) {
	switch v := v.(type) {
	case []byte:
		return bytes.Clone(v), true
	case string:
		b, err := base64.StdEncoding.DecodeString(v)
		return b, err == nil
	}
	return nil, false
}

func stream(v any) (io.ReadCloser, bool) {
	switch v := v.(type) {
	case io.ReadCloser:
		return v, true
	case io.Reader:
		return io.NopCloser(v), true
	}
	b, ok := blob(v)
	return io.NopCloser(bytes.NewReader(b)), ok
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
