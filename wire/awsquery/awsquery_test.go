package awsquery_test

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/service"
	"lambent/wire"
	"lambent/wire/awsquery"
	"lambent/wire/plan"
)

type createRole struct {
	RoleName *string
	MaxAge   *int32 `name:"MaxSessionDuration"`
	Since    *time.Time
	Tags     []tag
	Names    []string          `flat:"" e.wire:"Name"`
	Items    []string          `e.wire:"item"`
	Attrs    map[string]string `flat:"" wire:"Attribute" k.wire:"Name" e.wire:"Value"`
	Map      map[string]tag
	Blob     []byte
	Parent   *createRole
}

type tag struct{ Key, Value *string }

var api = &service.API{Name: "iam", ServiceID: "IAM", XMLNamespace: "https://iam.amazonaws.com/doc/2010-05-08/", Errors: []service.ErrorModel{
	{Name: "NoSuchEntityException", Code: "NoSuchEntity", Status: 404, Sender: true, Type: reflect.TypeFor[struct {
		Message *string `name:"message"`
	}]()},
}}

var op = &service.OperationModel{Name: "CreateRole", Wrapper: "CreateRoleResult"}

func decode(query, body string) (*createRole, error) {
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	r := &wire.Request{Method: "POST", Query: q, Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}, Body: strings.NewReader(body)}
	v := &createRole{}
	return v, awsquery.Codec{}.Decode(api, op, r, v)
}

func TestDecode(t *testing.T) {
	got, err := decode("Action=CreateRole&RoleName=overridden", strings.Join([]string{
		"Version=2010-05-08", "RoleName=a%20b%C3%A4", "MaxSessionDuration=3600", "Since=2014-04-29T18%3A30%3A38Z",
		"Tags.member.10.Key=ten", "Tags.member.2.Key=two", "Tags.member.2.Value=", "Tags.member.1.Key=one",
		"Name.1=x", "Name.2=y", "Items.item.1=i", "Attribute.1.Name=n", "Attribute.1.Value=v",
		"Map.entry.1.key=k", "Map.entry.1.value.Key=kk", "Blob=aGk%3D", "Parent.RoleName=p", "Parent.Parent.Tags=", "Unknown.Thing.1=z",
	}, "&"))
	if err != nil {
		t.Fatal(err)
	}
	want := &createRole{
		RoleName: new("a bä"), MaxAge: new(int32(3600)), Since: new(time.Date(2014, 4, 29, 18, 30, 38, 0, time.UTC)),
		Tags:  []tag{{Key: new("one")}, {Key: new("two"), Value: new("")}, {Key: new("ten")}},
		Names: []string{"x", "y"}, Items: []string{"i"}, Attrs: map[string]string{"n": "v"}, Map: map[string]tag{"k": {Key: new("kk")}},
		Blob: []byte("hi"), Parent: &createRole{RoleName: new("p"), Parent: &createRole{Tags: []tag{}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Names that share a beginning must not be taken for one another, whatever sorts between them.
func TestDecodeSimilarNames(t *testing.T) {
	got, err := decode("", "Parent.RoleName=a&Parent-x=1&Parent%2B=2&ParentRoleName=3&Parent=4&Parent.RoleName-x=5")
	if err != nil {
		t.Fatal(err)
	}
	if want := (&createRole{Parent: &createRole{RoleName: new("a")}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestDecodeEmpty(t *testing.T) {
	got, err := decode("", "RoleName=&MaxSessionDuration=&Names=&Tags=")
	if err != nil {
		t.Fatal(err)
	}
	if want := (&createRole{RoleName: new(""), Tags: []tag{}, Names: []string{}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, tt := range []struct{ body, code string }{
		{"MaxSessionDuration=x", "MalformedInput"},
		{"MaxSessionDuration=99999999999", "MalformedInput"},
		{"Since=noon", "MalformedInput"},
		{"Blob=%2A", "MalformedInput"},
		{"Map.entry.1.value.Key=x", "MalformedInput"},
		{"RoleName=%zz", "MalformedQueryString"},
		{"a;b", "MalformedQueryString"},
		{strings.Repeat("Parent.", 100) + "RoleName=x", "MalformedInput"},
	} {
		if _, err := decode("", tt.body); cloud.FaultCode(err) != tt.code {
			t.Errorf("%.50s: %v, want %s", tt.body, err, tt.code)
		}
	}
}

func TestEncode(t *testing.T) {
	out := &createRole{RoleName: new("a<b"), Tags: []tag{{Key: new("k")}}, Names: []string{"x", "y"}, Attrs: map[string]string{"n": "v"}}
	resp, err := awsquery.Codec{}.Encode(api, op, "id-1", out)
	if err != nil {
		t.Fatal(err)
	}
	want := `<CreateRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><CreateRoleResult><RoleName>a&lt;b</RoleName>` +
		`<Tags><member><Key>k</Key></member></Tags><Name>x</Name><Name>y</Name><Attribute><Name>n</Name><Value>v</Value></Attribute></CreateRoleResult>` +
		`<ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></CreateRoleResponse>`
	if got := string(resp.Body); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if resp.Status != 200 || resp.Header.Get("x-amzn-RequestId") != "id-1" || resp.Header.Get("Content-Type") != "text/xml" {
		t.Errorf("%d %v", resp.Status, resp.Header)
	}
}

func TestEncodeFault(t *testing.T) {
	for _, tt := range []struct {
		fault  *cloud.Fault
		status int
		want   string
	}{
		{
			cloud.Faultf("NoSuchEntityException", "The role with name %s cannot be found.", "x"), 404,
			"<Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>The role with name x cannot be found.</Message></Error>",
		},
		{
			cloud.Faultf("ValidationError", "bad").WithStatus(400), 400,
			"<Error><Type>Sender</Type><Code>ValidationError</Code><Message>bad</Message></Error>",
		},
		{
			cloud.Faultf("InternalFailure", "").WithStatus(500), 500,
			"<Error><Type>Receiver</Type><Code>InternalFailure</Code></Error>",
		},
	} {
		resp := awsquery.Codec{}.EncodeFault(api, nil, "id-1", tt.fault)
		want := `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">` + tt.want + `<RequestId>id-1</RequestId></ErrorResponse>`
		if got := string(resp.Body); got != want || resp.Status != tt.status {
			t.Errorf("got  %d %s\nwant %d %s", resp.Status, got, tt.status, want)
		}
	}
}

// FuzzDecode: whatever comes in, no panic, and what passes reads back the same from the form that writes it.
func FuzzDecode(f *testing.F) {
	f.Add("RoleName=a&Tags.member.1.Key=k&Name.3=x&Attribute.1.Name=n&Attribute.1.Value=v&Parent.Map.entry.1.key=k&Parent.Map.entry.1.value.Key=v")
	f.Add("Tags.member.99999999999999999999.Key=a&Tags.-1.Key=b&..=c&.=d&=e")
	f.Fuzz(func(t *testing.T, body string) {
		v, err := decode("", body)
		if err != nil {
			if cloud.FaultCode(err) == "" {
				t.Fatalf("not a fault: %v", err)
			}
			return
		}
		s, _ := plan.Open(v)
		values := url.Values{}
		write(values, "", s)
		again, err := decode("", values.Encode())
		if err != nil {
			t.Fatalf("%s does not read back: %v", values.Encode(), err)
		}
		if got, want := fmt.Sprintf("%+v", show(again)), fmt.Sprintf("%+v", show(v)); got != want {
			t.Fatalf("%q\nwas  %s\nthen %s", values.Encode(), want, got)
		}
	})
}

// write is what a client does.
func write(values url.Values, name string, s plan.Slot) {
	switch s.Type().Kind {
	case plan.Struct:
		if name != "" {
			values.Set(name, "") // it may have no members
		}
		for _, m := range s.Type().Members {
			if v, ok := s.Get(m); ok {
				write(values, strings.TrimPrefix(name+"."+m.Element(), "."), v)
			}
		}
	case plan.List:
		values.Set(name, "")
		for i := range s.Len() {
			part := "." + s.Member().Elem.Wire
			if s.Member().Flat {
				part = ""
			}
			v, _ := s.Index(i)
			write(values, fmt.Sprintf("%s%s.%d", name, part, i+1), v)
		}
	case plan.Map:
		i := 0
		values.Set(name, "")
		s.Entries(func(k string, v plan.Slot, _ bool) bool {
			part := ".entry"
			if s.Member().Flat {
				part = ""
			}
			i++
			at := fmt.Sprintf("%s%s.%d.", name, part, i)
			values.Set(at+s.Member().Key.Wire, k)
			values.Set(at+s.Member().Elem.Wire, "")
			write(values, at+s.Member().Elem.Wire, v)
			return true
		})
	default:
		values.Set(name, string(s.AppendText(nil, plan.ISO8601)))
	}
}

// show writes a value without addresses.
func show(v *createRole) string {
	s, _ := plan.Open(v)
	values := url.Values{}
	write(values, "", s)
	return values.Encode()
}
