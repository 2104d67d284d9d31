package document

import (
	"encoding/base64"
	"encoding/json"

	"lambent/wire/jsontext"
	"lambent/wire/plan"
)

// Encode makes a map of a structure, given by pointer: strings, bools, json.Numbers for whole numbers and
// timestamps (epoch seconds), float64s, base64 strings for blobs, []any, map[string]any. A stream is passed on
// as the io.ReadCloser that it is, whoever called closes it; events as a pointer to the service.Events. Members that are not set are left out, null
// elements are nil.
func Encode(v any) (map[string]any, error) {
	s, err := plan.Open(v)
	if err != nil {
		return nil, err
	}
	return structure(s), nil
}

func structure(s plan.Slot) map[string]any {
	out := map[string]any{}
	for _, m := range s.Type().Members {
		if v, ok := s.Get(m); ok {
			out[m.Name] = value(v)
		}
	}
	return out
}

func value(s plan.Slot) any {
	switch k := s.Type().Kind; {
	case k == plan.Struct:
		return structure(s)
	case k == plan.List:
		return list(s)
	case k == plan.Map:
		return entries(s)
	case k == plan.String:
		return s.String()
	case k == plan.Bool:
		return s.Bool()
	case k.Integer():
		return json.Number(s.AppendText(nil, plan.DefaultTime))
	case k == plan.Float32 || k == plan.Float64:
		return s.Float()
	case k == plan.Time:
		return json.Number(plan.AppendTime(nil, s.Time(), plan.Epoch))
	case k == plan.Blob:
		return base64.StdEncoding.EncodeToString(s.Bytes())
	case k == plan.Document:
		return jsontext.NewReader(s.Bytes()).Value()
	case k == plan.Custom:
		return jsontext.NewReader(s.Direct().AppendJSON(nil)).Value()
	case k == plan.Stream:
		return s.Stream()
	case k == plan.Events:
		return s.Interface()
	}
	return nil
}

func list(s plan.Slot) []any {
	out := make([]any, s.Len())
	for i := range out {
		if v, ok := s.Index(i); ok {
			out[i] = value(v)
		}
	}
	return out
}

func entries(s plan.Slot) map[string]any {
	out := make(map[string]any, s.MapLen())
	s.Entries(func(key string, v plan.Slot, ok bool) bool {
		out[key] = nil
		if ok {
			out[key] = value(v)
		}
		return true
	})
	return out
}
