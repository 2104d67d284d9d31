package xmlbody_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"lambent/wire/plan"
	"lambent/wire/xmlbody"
)

type grantee struct {
	_    struct{} `ns:"xsi=http://www.w3.org/2001/XMLSchema-instance"`
	Kind *string  `name:"Type" wire:"xsi:type" attr:""`
	ID   *string
}

type policy struct {
	Owner   *grantee
	Rules   []rule `wire:"Rule" flat:""`
	Grants  []rule `name:"AccessControlList" e.wire:"Grant"`
	Names   []string
	Meta    map[string]string
	Labels  map[string]int32 `wire:"Label" flat:"" k.wire:"K" e.wire:"V"`
	Size    *int64
	On      *bool
	When    *time.Time
	Blob    []byte
	Filter  *filter
	Nested  [][]string
	Sub     *policy
	Element *string `wire:"Custom" ns:"http://example.com/"`
}

type rule struct {
	ID     *string
	Status *string
}

type filter struct {
	_      struct{} `union:""`
	Prefix *string
	Tag    *rule
}

func decode(text string, o xmlbody.Options) (*policy, error) {
	v := &policy{}
	s, err := plan.Open(v)
	if err != nil {
		return nil, err
	}
	return v, xmlbody.Decode([]byte(text), s, o)
}

func TestDecode(t *testing.T) {
	text := `<?xml version="1.0" encoding="UTF-8"?>
<!-- a comment -->
<p:Policy xmlns:p="http://s3.amazonaws.com/doc/2006-03-01/">
  <Owner xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>abc</ID></Owner>
  <Rule><ID>1</ID></Rule>
  <Label><K>a</K><V>1</V></Label>
  <Unknown><Rule><ID>9</ID></Rule></Unknown>
  <Rule><Status>Enabled</Status><ID> 2 &amp; <![CDATA[<3>]]></ID></Rule>
  <Label><V> 2 </V><K>b</K></Label>
  <AccessControlList><Grant><ID>g</ID></Grant></AccessControlList>
  <Names><member>x</member><member/></Names>
  <Meta><entry><key>k</key><value>v</value></entry></Meta>
  <Size> 5 </Size><On>true</On><When>2014-04-29T18:30:38Z</When><Blob>aGk=</Blob>
  <Filter><Prefix/></Filter>
  <Nested><member><member>a</member></member><member/></Nested>
  <Sub/>
</p:Policy>`
	got, err := decode(text, xmlbody.Options{Root: "Policy"})
	if err != nil {
		t.Fatal(err)
	}
	want := &policy{
		Owner: &grantee{Kind: new("CanonicalUser"), ID: new("abc")},
		Rules: []rule{{ID: new("1")}, {ID: new(" 2 & <3>"), Status: new("Enabled")}}, Grants: []rule{{ID: new("g")}}, Names: []string{"x", ""},
		Meta: map[string]string{"k": "v"}, Labels: map[string]int32{"a": 1, "b": 2}, Size: new(int64(5)), On: new(true),
		When: new(time.Unix(1398796238, 0).UTC()), Blob: []byte("hi"), Filter: &filter{Prefix: new("")}, Nested: [][]string{{"a"}, {}}, Sub: &policy{},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	strict := xmlbody.Options{Strict: true, Root: "P"}
	for _, tt := range []struct {
		text string
		o    xmlbody.Options
		want string
	}{
		{"<P>", strict, "unexpected EOF"},
		{"<P></Q>", strict, "element <P> closed by </Q>"},
		{"<Q/>", strict, "root element is Q, not P"},
		{"<P/><P/>", strict, "a second root element"},
		{"<P/>x", strict, "text outside the root element"},
		{"<P><Unknown/></P>", strict, "unknown element Unknown"},
		{"<P>text</P>", strict, "text between elements"},
		{"<P><Names><item>x</item></Names></P>", strict, "unknown element item"},
		{"<P><Size>x</Size></P>", strict, `"x" in element Size is not a Long`},
		{"<P><Size><a/></Size></P>", strict, "element a where text is expected"},
		{"<P><On>yes</On></P>", strict, `"yes" in element On is not a Boolean`},
		{"<P><Filter/></P>", strict, "exactly one member of the union filter must be set"},
		{"<P><Filter><Prefix>a</Prefix><Tag/></Filter></P>", strict, "exactly one member of the union filter must be set"},
		{"<P><Meta><entry><value>v</value></entry></Meta></P>", strict, "map entry without a key"},
		{`<!DOCTYPE P [<!ENTITY a "b">]><P><Custom>&a;</Custom></P>`, strict, "document type declarations are not allowed"},
		{"<P><Custom>&a;</Custom></P>", strict, "invalid character entity"},
		{"<P><Custom>\xff</Custom></P>", strict, "invalid UTF-8"},
		{`<?xml version="1.0" encoding="UTF-16"?><P/>`, strict, "encoding"},
		{strings.Repeat("<Sub>", 200), xmlbody.Options{}, "nested too deeply"},
		{"<P>" + strings.Repeat("<x>", 200), xmlbody.Options{}, "nested too deeply"},
		{"{}", xmlbody.Options{}, "text outside the root element"},
	} {
		if _, err := decode(tt.text, tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60s: %v, want %s", tt.text, err, tt.want)
		}
	}
}

func TestWriter(t *testing.T) {
	v := &policy{
		Owner: &grantee{Kind: new("Group"), ID: new("a&b")}, Rules: []rule{{ID: new("1")}, {}}, Grants: []rule{}, Names: []string{"x"},
		Meta: map[string]string{"k": "v"}, Labels: map[string]int32{"b": 2, "a": 1}, When: new(time.UnixMilli(1398796238000)), Blob: []byte("hi"),
		Element: new("line\r\n\ttab <\x01\x00\xff>"),
	}
	s, _ := plan.Open(v)
	w := &xmlbody.Writer{Milli: true}
	w.Element("P", plan.Namespace{URI: "http://a/?b&c"}, s)
	want := `<P xmlns="http://a/?b&amp;c"><Owner xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><ID>a&amp;b</ID></Owner>` +
		`<Rule><ID>1</ID></Rule><Rule></Rule><AccessControlList></AccessControlList><Names><member>x</member></Names>` +
		`<Meta><entry><key>k</key><value>v</value></entry></Meta><Label><K>a</K><V>1</V></Label><Label><K>b</K><V>2</V></Label>` +
		`<When>2014-04-29T18:30:38.000Z</When><Blob>aGk=</Blob><Custom xmlns="http://example.com/">line&#xD;&#xA;	tab &lt;&#x1;` + "\ufffd\ufffd" + `&gt;</Custom></P>`
	if got := string(w.B); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// FuzzDecode: whatever comes in, no panic; what passes can be written, and reads back the same.
func FuzzDecode(f *testing.F) {
	f.Add(`<P><Owner xmlns:xsi="x" xsi:type="y"><ID>abc</ID></Owner><Rule><ID>1</ID></Rule><Label><K>a</K><V>1</V></Label><Names><member>x</member></Names></P>`, true)
	f.Add(`<P><Sub><Filter><Prefix>&#x85;</Prefix></Filter></Sub><Nested><member><member/></member></Nested></P>`, false)
	f.Fuzz(func(t *testing.T, text string, strict bool) {
		v, err := decode(text, xmlbody.Options{Strict: strict})
		if err != nil {
			return
		}
		once := write(v)
		w, err := decode(once, xmlbody.Options{})
		if err != nil {
			if strings.Contains(err.Error(), "illegal character code") {
				return // XML cannot say it
			}
			t.Fatalf("%s does not read back: %v", once, err)
		}
		if twice := write(w); twice != once {
			t.Fatalf("%s reads back as %s", once, twice)
		}
	})
}

func write(v *policy) string {
	s, _ := plan.Open(v)
	w := &xmlbody.Writer{}
	w.Element("P", plan.Namespace{}, s)
	return string(w.B)
}
