package plan_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"lambent/wire/plan"
)

type tree struct {
	_        struct{} `shape:"Node" wire:"Root" ns:"xsi=http://example.com/"`
	Name     *string  `name:"name" wire:"n"`
	Children []tree   `name:"children" flat:"" e.wire:"child"`
	ByName   map[string]tree
	Left     *tree
	Doc      json.RawMessage
}

func TestOf(t *testing.T) {
	p, err := plan.Of(reflect.TypeFor[tree]())
	if err != nil {
		t.Fatal(err)
	}
	if p.Shape != "Node" || p.Root != "Root" || p.NS != (plan.Namespace{Prefix: "xsi", URI: "http://example.com/"}) {
		t.Errorf("shape %q, root %q, namespace %v", p.Shape, p.Root, p.NS)
	}
	if p.Member("children").Elem.Type != p || p.Member("Left").Type != p || p.Member("ByName").Elem.Type != p {
		t.Error("a recursive type has more than one plan")
	}
	if m := p.OnWire([]byte("n")); m == nil || m.Name != "name" {
		t.Errorf("OnWire(n) = %v", m)
	}
	if m := p.OnElement("child"); m == nil || m.Name != "children" {
		t.Errorf("OnElement(child) = %v: a flattened list goes by the name of its elements", m)
	}
	if p.Member("Doc").Type.Kind != plan.Document {
		t.Errorf("Doc is a %v", p.Member("Doc").Type.Kind)
	}
}

func TestOfRefuses(t *testing.T) {
	for _, v := range []any{
		struct{ C chan int }{},
		struct{ M map[int]string }{},
		struct {
			A *string `in:"nowhere"`
		}{},
		struct {
			A *time.Time `ts:"stardate"`
		}{},
		struct {
			A *string `len:"1-2"`
		}{},
		1,
	} {
		if _, err := plan.Of(reflect.TypeOf(v)); err == nil {
			t.Errorf("%T has a plan", v)
		}
	}
	for _, v := range []any{nil, tree{}, (*tree)(nil), new(int)} {
		if _, err := plan.Open(v); err == nil {
			t.Errorf("Open(%T) succeeded", v)
		}
	}
}

// Types that hold each other are first met by many goroutines at once.
func TestOfConcurrent(t *testing.T) {
	type b struct{ Next *tree }
	type a struct {
		B    *b
		List []b
	}
	var wg sync.WaitGroup
	plans := make([]*plan.Type, 16)
	for i := range plans {
		wg.Go(func() {
			rt := reflect.TypeFor[a]()
			if i%2 == 1 {
				rt = reflect.TypeFor[b]()
			}
			plans[i], _ = plan.Of(rt)
		})
	}
	wg.Wait()
	for i, p := range plans {
		if p == nil || p != plans[i%2] {
			t.Errorf("plan %d is %p", i, p)
		}
	}
	if plans[0].Member("B").Type != plans[1] {
		t.Error("b has two plans")
	}
}

func TestSlotMapsAndLists(t *testing.T) {
	var v tree
	s, err := plan.Open(&v)
	if err != nil {
		t.Fatal(err)
	}
	var a plan.Arena
	l := s.Make(s.Type().Member("children"), &a)
	l.MakeList()
	for _, name := range []string{"a", "b", "c"} {
		c := l.Append(&a)
		c.Make(c.Type().Member("name"), &a).SetString(name)
	}
	w := s.Make(s.Type().Member("ByName"), &a).MakeMap(0)
	for _, name := range []string{"y", "x"} {
		c := w.Value(&a)
		c.Make(c.Type().Member("name"), &a).SetString(name)
		w.Put(name)
	}
	if len(v.Children) != 3 || *v.Children[2].Name != "c" || *v.ByName["x"].Name != "x" || v.ByName["x"].Left != nil {
		t.Errorf("%+v", v)
	}
	var keys []string
	m, _ := s.Get(s.Type().Member("ByName"))
	m.Entries(func(k string, e plan.Slot, ok bool) bool {
		n, _ := e.Get(e.Type().Member("name"))
		keys = append(keys, k+"="+n.String())
		return true
	})
	if got := strings.Join(keys, " "); got != "x=x y=y" {
		t.Errorf("entries %s", got)
	}
	s.Clear(s.Type().Member("children"))
	if v.Children != nil {
		t.Error("Clear left the list")
	}
}

func TestArenaKeepsNothing(t *testing.T) {
	var a plan.Arena
	b := []byte("hello")
	s := a.String(b)
	b[0] = 'X'
	if s != "hello" {
		t.Errorf("string became %q", s)
	}
	long := strings.Repeat("y", 1000)
	if a.String([]byte(long)) != long || a.String(nil) != "" {
		t.Error("strings of other sizes")
	}
}

func TestTime(t *testing.T) {
	want := time.Date(2014, 4, 29, 18, 30, 38, 0, time.UTC)
	for _, s := range []string{
		"1398796238", "1398796238.0", "1.398796238e9", "2014-04-29T18:30:38Z", "2014-04-29T18:30:38.000Z", "2014-04-29T20:30:38+02:00",
		"2014-04-29T20:30:38+0200", "2014-04-29T18:30:38", "20140429T183038Z", "Tue, 29 Apr 2014 18:30:38 GMT", "Tue, 29 Apr 2014 18:30:38 UTC",
		"Tuesday, 29-Apr-14 18:30:38 GMT", "Tue Apr 29 18:30:38 2014", " 1398796238 ",
	} {
		for _, f := range []plan.TimeFormat{plan.Epoch, plan.ISO8601, plan.HTTPDate} {
			if got, err := plan.ParseTime(s, f); err != nil || !got.Equal(want) {
				t.Errorf("ParseTime(%q, %d) = %v, %v", s, f, got, err)
			}
		}
	}
	for _, s := range []string{"", "x", "NaN", "1e400", "2014-13-01", "--1", "1.x"} {
		if got, err := plan.ParseTime(s, plan.Epoch); err == nil {
			t.Errorf("ParseTime(%q) = %v", s, got)
		}
	}
	for _, tt := range []struct {
		milli               int64
		epoch, iso, httpDay string
	}{
		{1398796238000, "1398796238", "2014-04-29T18:30:38Z", "Tue, 29 Apr 2014 18:30:38 GMT"},
		{1398796238120, "1398796238.12", "2014-04-29T18:30:38.12Z", "Tue, 29 Apr 2014 18:30:38 GMT"},
		{1398796238007, "1398796238.007", "2014-04-29T18:30:38.007Z", "Tue, 29 Apr 2014 18:30:38 GMT"},
		{-1500, "-1.5", "1969-12-31T23:59:58.5Z", "Wed, 31 Dec 1969 23:59:58 GMT"},
	} {
		at := time.UnixMilli(tt.milli)
		for f, want := range map[plan.TimeFormat]string{plan.Epoch: tt.epoch, plan.ISO8601: tt.iso, plan.HTTPDate: tt.httpDay} {
			if got := string(plan.AppendTime(nil, at, f)); got != want {
				t.Errorf("AppendTime(%d, %d) = %s, want %s", tt.milli, f, got, want)
			}
		}
		if got, err := plan.ParseTime(tt.epoch, plan.Epoch); err != nil || got.UnixMilli() != tt.milli {
			t.Errorf("ParseTime(%s) = %v, %v", tt.epoch, got, err)
		}
	}
}
