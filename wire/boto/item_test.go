package boto_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"lambent/wire/document"
	"lambent/wire/jsonbody"
	"lambent/wire/jsontext"
)

// handItem is a DynamoDB item in a shape by hand: a slice of tagged values, where the model has a map of structures with ten
// pointers. It shows what a plan.Custom is for, and what it saves; the service will have its own.
type handItem []attribute

type attribute struct {
	name string
	handValue
}

// handValue holds one value; kind is the name of its member.
type handValue struct {
	kind string
	text string    // S, N
	flag bool      // BOOL, NULL
	more *handMore // the rest, which are fewer
}

type handMore struct {
	raw  []byte // B
	set  []string
	raws [][]byte
	list []handValue
	item handItem
}

type handPutItemInput struct {
	TableName                 *string
	Item                      handItem
	ConditionExpression       *string
	ExpressionAttributeNames  map[string]string
	ExpressionAttributeValues handItem
	ReturnValues              *string
	ReturnConsumedCapacity    *string
}

// DecodeJSON implements jsontext.Direct.
func (i *handItem) DecodeJSON(r *jsontext.Reader) {
	*i = make(handItem, 0, 8)
	for r.Open('{'); r.More('}'); {
		*i = append(*i, attribute{name: r.NameOf()})
		(*i)[len(*i)-1].decode(r)
	}
}

func (v *handValue) decode(r *jsontext.Reader) {
	n := 0
	for r.Open('{'); r.More('}'); n++ {
		switch string(r.Key()) {
		case "S":
			v.kind, v.text = "S", r.Text()
		case "N":
			v.kind, v.text = "N", r.Text()
		case "B":
			v.kind, v.more = "B", &handMore{raw: r.Blob()}
		case "BOOL":
			v.kind = "BOOL"
			v.decodeFlag(r)
		case "NULL":
			v.kind = "NULL"
			v.decodeFlag(r)
		case "SS":
			v.kind = "SS"
			v.decodeSet(r)
		case "NS":
			v.kind = "NS"
			v.decodeSet(r)
		case "BS":
			v.kind, v.more = "BS", &handMore{}
			for r.Open('['); r.More(']'); {
				v.more.raws = append(v.more.raws, r.Blob())
			}
		case "M":
			v.kind, v.more = "M", &handMore{}
			v.more.item.DecodeJSON(r)
		case "L":
			v.kind, v.more = "L", &handMore{}
			for r.Open('['); r.More(']'); {
				v.more.list = append(v.more.list, handValue{})
				v.more.list[len(v.more.list)-1].decode(r)
			}
		default:
			r.Unusual()
		}
	}
	if n != 1 {
		r.Unusual()
	}
}

func (v *handValue) decodeFlag(r *jsontext.Reader) {
	b := r.BoolMember()
	if b == nil {
		r.Unusual()
		return
	}
	v.flag = *b
}

func (v *handValue) decodeSet(r *jsontext.Reader) {
	v.more = &handMore{}
	for r.Open('['); r.More(']'); {
		v.more.set = append(v.more.set, r.Text())
	}
}

// AppendJSON implements jsontext.Direct.
func (i *handItem) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	for _, a := range *i {
		b = append(jsontext.AppendString(b, a.name), ':')
		b = append(a.append(b), ',')
	}
	return jsontext.AppendEnd(b, '}')
}

func (v *handValue) append(b []byte) []byte {
	b = append(append(append(b, `{"`...), v.kind...), `":`...)
	switch v.kind {
	case "S", "N":
		b = jsontext.AppendString(b, v.text)
	case "B":
		b = jsontext.AppendBase64(b, v.more.raw)
	case "BOOL", "NULL":
		if v.flag {
			b = append(b, "true"...)
		} else {
			b = append(b, "false"...)
		}
	case "M":
		b = v.more.item.AppendJSON(b)
	default:
		b = append(b, '[')
		for _, s := range v.more.set {
			b = append(jsontext.AppendString(b, s), ',')
		}
		for _, s := range v.more.raws {
			b = append(jsontext.AppendBase64(b, s), ',')
		}
		for i := range v.more.list {
			b = append(v.more.list[i].append(b), ',')
		}
		b = jsontext.AppendEnd(b, ']')
	}
	return append(b, '}')
}

// FuzzCustom holds the shape by hand against the plan: what it takes means the same, and what the plan refuses it
// refuses. (It refuses more: values with no type, or with several.)
func FuzzCustom(f *testing.F) {
	for _, text := range []string{
		item, `{"Item":{"a":{"L":[{"S":"x"},{"M":{}}]}}}`, `{"Item":{"a":{"BS":["aGk="]},"b":{"SS":[]}}}`, `{"Item":{"a":{"S":"x","N":"1"}}}`,
		`{"Item":{"a":{"S":5}}}`, `{"Item":null}`, `{"Item":{"a":{"NULL":null}}}`, `{"Item":[]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		hand, plain := &handPutItemInput{}, &plainPutItemInput{}
		if err := jsonbody.Decode(text, slot(t, hand)); err != nil {
			return
		}
		if err := jsonbody.Decode(text, slot(t, plain)); err != nil {
			t.Fatalf("%s: the plan refuses it: %v", text, err)
		}
		got, err := document.Encode(hand)
		if err != nil {
			t.Fatal(err)
		}
		want, err := document.Encode(plain)
		if err != nil {
			t.Fatal(err)
		}
		for name := range want {
			if slot(t, hand).Type().Member(name) == nil {
				delete(want, name)
			}
		}
		if !reflect.DeepEqual(got, want) {
			g, _ := json.Marshal(got)
			w, _ := json.Marshal(want)
			t.Fatalf("%s: by hand %s, by plan %s", text, g, w)
		}
	})
}

// A custom value goes through documents, too.
func TestCustomDocument(t *testing.T) {
	in := &handPutItemInput{}
	if err := jsonbody.Decode([]byte(item), slot(t, in)); err != nil {
		t.Fatal(err)
	}
	m, err := document.Encode(in)
	if err != nil {
		t.Fatal(err)
	}
	back := &handPutItemInput{}
	if err := document.Decode(m, back, document.Options{}); err != nil {
		t.Fatal(err)
	}
	again, err := document.Encode(back)
	if err != nil || !reflect.DeepEqual(m, again) {
		t.Errorf("%v came back as %v, %v", m, again, err)
	}
	if err := document.Decode(map[string]any{"Item": "x"}, back, document.Options{}); err == nil {
		t.Error("a text was taken for an item")
	}
}
