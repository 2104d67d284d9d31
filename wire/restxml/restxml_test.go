package restxml_test

import (
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/service"
	"lambent/wire"
	"lambent/wire/restxml"
)

// The shapes of S3 that its codec has special cases for, cut short.
type createBucket struct {
	_      struct{}            `payload:"CreateBucketConfiguration"`
	Bucket *string             `in:"uri"`
	Config *createBucketConfig `name:"CreateBucketConfiguration" in:"payload" ns:"http://s3.amazonaws.com/doc/2006-03-01/"`
}

type createBucketConfig struct {
	_                  struct{} `shape:"CreateBucketConfiguration"`
	LocationConstraint *string
}

type putObject struct {
	_        struct{}          `payload:"Body"`
	Bucket   *string           `in:"uri"`
	Key      *string           `in:"uri"`
	Body     service.Stream    `in:"payload" stream:""`
	Length   *int64            `name:"ContentLength" wire:"Content-Length" in:"header"`
	Expires  *time.Time        `in:"header"`
	Metadata map[string]string `in:"headers" wire:"x-amz-meta-"`
}

type listObjects struct {
	_        struct{} `shape:"ListObjectsV2Output"`
	Name     *string
	Contents []object `flat:""`
	Charged  *string  `name:"RequestCharged" wire:"x-amz-request-charged" in:"header"`
}

type object struct {
	Key          *string
	LastModified *time.Time
}

type getLocation struct {
	LocationConstraint *string
}

var s3 = &service.API{Name: "s3", ServiceID: "S3", Errors: []service.ErrorModel{{Name: "NoSuchBucket", Status: 404, Sender: true, Type: reflect.TypeFor[struct{}]()}}}

func request(body string, header ...string) *wire.Request {
	r := &wire.Request{
		Method: "PUT", Header: http.Header{}, Query: url.Values{}, Body: strings.NewReader(body),
		Labels: map[string]string{"Bucket": "b", "Key": "a%20b/c%2Fd"},
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func TestDecodeStream(t *testing.T) {
	in := &putObject{}
	r := request("content", "Content-Length", "7", "X-Amz-Meta-Color", "red", "x-amz-meta-Two-Words", "x", "Expires", "Tue, 29 Apr 2014 18:30:38 GMT", "X-Other", "y")
	if err := (restxml.Codec{}).Decode(s3, &service.OperationModel{Name: "PutObject"}, r, in); err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(in.Body)
	if string(b) != "content" || *in.Key != "a b/c/d" || *in.Length != 7 || in.Expires.Unix() != 1398796238 {
		t.Errorf("%+v", in)
	}
	if want := map[string]string{"color": "red", "two-words": "x"}; !reflect.DeepEqual(in.Metadata, want) {
		t.Errorf("metadata %v", in.Metadata)
	}
}

func TestDecodePayload(t *testing.T) {
	op := &service.OperationModel{Name: "CreateBucket"}
	for body, want := range map[string]string{
		"": "-", // no configuration at all
		`<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>`: "eu-west-1",
		`<CreateBucketConfiguration/>`: "",
	} {
		in := &createBucket{}
		if err := (restxml.Codec{}).Decode(s3, op, request(body), in); err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		got := "-"
		if in.Config != nil {
			got = cloud.Val(in.Config.LocationConstraint)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	for _, body := range []string{"<CreateBucketConfiguration>", "<Other/>", "{}", "<CreateBucketConfiguration><Colour>red</Colour></CreateBucketConfiguration>"} {
		err := (restxml.Codec{}).Decode(s3, op, request(body), &createBucket{})
		if err == nil || cloud.FaultCode(err) != "MalformedXML" || !strings.Contains(err.Error(), "did not validate against our published schema") {
			t.Errorf("%s: %v", body, err)
		}
	}
	other := &service.API{ServiceID: "CloudFront"}
	if err := (restxml.Codec{}).Decode(other, op, request("<X"), &createBucket{}); cloud.FaultCode(err) != "SerializationException" {
		t.Error(err)
	}
}

func TestEncode(t *testing.T) {
	out := &listObjects{Name: new("b"), Contents: []object{{new("k"), new(time.Unix(1398796238, 0))}}, Charged: new("requester")}
	resp, err := restxml.Codec{}.Encode(s3, &service.OperationModel{Name: "ListObjectsV2"}, "ID", out)
	if err != nil {
		t.Fatal(err)
	}
	want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>` +
		`<Contents><Key>k</Key><LastModified>2014-04-29T18:30:38.000Z</LastModified></Contents></ListBucketResult>`
	if got := string(resp.Body); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	h := resp.Header
	if resp.Status != 200 || h.Get("Content-Type") != "application/xml" || h.Get("X-Amz-Request-Id") != "ID" || h.Get("X-Amz-Id-2") == "" || h.Get("X-Amz-Request-Charged") != "requester" {
		t.Errorf("%d %v", resp.Status, h)
	}
}

func TestEncodeLocation(t *testing.T) {
	const head = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	for want, out := range map[string]*getLocation{
		head + `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-west-1</LocationConstraint>`: {new("eu-west-1")},
		head + `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>`:          {},
	} {
		resp, err := restxml.Codec{}.Encode(s3, &service.OperationModel{Name: "GetBucketLocation"}, "ID", out)
		if err != nil || string(resp.Body) != want {
			t.Errorf("got  %s (%v)\nwant %s", resp.Body, err, want)
		}
	}
}

func TestEncodeNothing(t *testing.T) {
	resp, err := restxml.Codec{}.Encode(s3, &service.OperationModel{Name: "DeleteBucket", Status: 204}, "ID", &struct{}{})
	if err != nil || resp.Status != 204 || len(resp.Body) != 0 || resp.Header.Get("Content-Type") != "" {
		t.Errorf("%+v, %v", resp, err)
	}
}

func TestEncodeFault(t *testing.T) {
	type detail struct{ BucketName *string }
	f := &cloud.Fault{Code: "NoSuchBucket", Message: "The specified bucket does not exist", Detail: &detail{new("b")}}
	resp := restxml.Codec{}.EncodeFault(s3, nil, "ID", f)
	want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message><BucketName>b</BucketName>` +
		`<RequestId>ID</RequestId><HostId>` + resp.Header.Get("X-Amz-Id-2") + `</HostId></Error>`
	if got := string(resp.Body); got != want || resp.Status != 404 {
		t.Errorf("%d %s\nwant %s", resp.Status, got, want)
	}
	other := &service.API{ServiceID: "CloudFront", XMLNamespace: "http://cf/"}
	resp = restxml.Codec{}.EncodeFault(other, nil, "ID", cloud.Faultf("AccessDenied", "no").WithStatus(403))
	want = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<ErrorResponse xmlns="http://cf/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error><RequestId>ID</RequestId></ErrorResponse>`
	if got := string(resp.Body); got != want || resp.Status != 403 || resp.Header.Get("X-Amzn-Requestid") != "ID" {
		t.Errorf("%d %s\nwant %s", resp.Status, got, want)
	}
}

func TestEncodePart(t *testing.T) {
	type getObject struct {
		ContentRange *string `wire:"Content-Range" in:"header"`
	}
	for _, tt := range []struct {
		out  getObject
		want int
	}{{getObject{}, http.StatusOK}, {getObject{new("bytes 0-1/5")}, http.StatusPartialContent}} {
		resp, err := restxml.Codec{}.Encode(s3, &service.OperationModel{Name: "GetObject"}, "id", &tt.out)
		if err != nil || resp.Status != tt.want {
			t.Errorf("%+v: status %d, %v, want %d", tt.out, resp.Status, err, tt.want)
		}
	}
}
