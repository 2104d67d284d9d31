package querybody_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"lambent/cloud"
	"lambent/wire"
	"lambent/wire/plan"
	"lambent/wire/querybody"
)

type runInstances struct {
	ImageID   *string  `name:"imageId"`
	Groups    []string `wire:"SecurityGroup" e.wire:"item"`
	UserData  []byte   `wire:"userData" query:"Data"`
	Tags      []tag    `wire:"tagSet" e.wire:"item"`
	Placement *placement
}

type (
	tag       struct{ Key *string }
	placement struct{ Zone *string }
)

func decode(body string, dialect querybody.Dialect) (*runInstances, error) {
	in := &runInstances{}
	s, err := plan.Open(in)
	if err != nil {
		return nil, err
	}
	r := &wire.Request{Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, Body: strings.NewReader(body)}
	return in, querybody.Decode(r, s, dialect)
}

// What the same members are called in the two dialects.
func TestDialects(t *testing.T) {
	want := &runInstances{
		ImageID: new("ami-1"), Groups: []string{"a", "b"}, UserData: []byte("hi"), Tags: []tag{{new("k")}}, Placement: &placement{new("z")},
	}
	for dialect, body := range map[querybody.Dialect]string{
		querybody.EC2Query: "ImageId=ami-1&SecurityGroup.1=a&SecurityGroup.2=b&Data=aGk%3D&TagSet.1.Key=k&Placement.Zone=z&imageId=no&UserData=bm8%3D",
		querybody.AWSQuery: "imageId=ami-1&SecurityGroup.item.1=a&SecurityGroup.item.2=b&userData=aGk%3D&tagSet.item.1.Key=k&Placement.Zone=z&ImageId=no",
	} {
		got, err := decode(body, dialect)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("dialect %d: %+v, %v; want %+v", dialect, got, err, want)
		}
	}
}

func TestRefuse(t *testing.T) {
	for body, code := range map[string]string{
		"Data=not base64": "MalformedInput",
		"ImageId=%zz":     "MalformedQueryString",
	} {
		if _, err := decode(body, querybody.EC2Query); cloud.FaultCode(err) != code {
			t.Errorf("%s: %v, want %s", body, err, code)
		}
	}
}
