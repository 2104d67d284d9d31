package protocol_test

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"lambent/cloud"
	"lambent/service"
	"lambent/wire"
	"lambent/wire/protocol"
)

var protocols = []service.Protocol{service.AWSJSON10, service.AWSJSON11, service.AWSQuery, service.EC2Query,
	service.RestJSON, service.RestXML, service.RPCv2CBOR}

func TestFor(t *testing.T) {
	for _, p := range protocols {
		if _, ok := protocol.For(p); !ok {
			t.Errorf("no codec for %s", p)
		}
	}
	if _, ok := protocol.For("carrierPigeon"); ok {
		t.Errorf("carrierPigeon has a codec")
	}
}

// notFound is an error with members beyond the message.
type notFound struct {
	_            struct{} `shape:"NotFoundException"`
	Message      *string
	ResourceType *string `name:"resourceType"`
	RetryAfter   *string `wire:"Retry-After" in:"header"`
}

var api = &service.API{
	Name: "things", ServiceID: "Things", XMLNamespace: "http://things/", QueryErrors: true,
	Errors: []service.ErrorModel{
		{Name: "NotFoundException", Code: "Things.NotFound", Status: 404, Sender: true, Type: reflect.TypeFor[notFound]()},
		{Name: "Broken", Status: 503, Type: reflect.TypeFor[struct{}]()},
	},
}

// One fault, as each protocol writes it.
func TestEncodeFault(t *testing.T) {
	plain := cloud.Faultf("NotFoundException", "no %s", "thing")
	more := &cloud.Fault{Code: "NotFoundException", Message: "no thing", Detail: &notFound{ResourceType: new("thing"), RetryAfter: new("5")}}
	unknown := cloud.Faultf("AccessDeniedException", "not you").WithStatus(403)
	broken := cloud.Faultf("Broken", "")
	tests := []struct {
		protocol service.Protocol
		fault    *cloud.Fault
		status   int
		body     string
		headers  string
	}{
		{service.AWSJSON10, plain, 404, `{"__type":"NotFoundException","Message":"no thing"}`, "Content-Type=application/x-amz-json-1.0 X-Amzn-Query-Error=Things.NotFound;Sender"},
		{service.AWSJSON11, more, 404, `{"__type":"NotFoundException","Message":"no thing","resourceType":"thing"}`, "Content-Type=application/x-amz-json-1.1"},
		{service.AWSJSON11, unknown, 403, `{"__type":"AccessDeniedException","message":"not you"}`, "X-Amzn-Query-Error=AccessDeniedException;Sender"},
		{service.AWSJSON11, broken, 503, `{"__type":"Broken"}`, "X-Amzn-Query-Error=Broken;Receiver"},
		{service.RestJSON, more, 404, `{"Message":"no thing","resourceType":"thing"}`, "X-Amzn-Errortype=NotFoundException Retry-After=5 Content-Type=application/json"},
		{service.RestJSON, broken, 503, `{}`, "X-Amzn-Errortype=Broken"},
		{service.AWSQuery, more, 404, `<ErrorResponse xmlns="http://things/"><Error><Type>Sender</Type><Code>Things.NotFound</Code><Message>no thing</Message>` +
			`<resourceType>thing</resourceType></Error><RequestId>ID</RequestId></ErrorResponse>`, "Content-Type=text/xml"},
		{service.EC2Query, more, 404, `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<Response><Errors><Error><Code>Things.NotFound</Code><Message>no thing</Message>` +
			`<resourceType>thing</resourceType></Error></Errors><RequestID>ID</RequestID></Response>`, "Content-Type=text/xml;charset=UTF-8"},
		{service.RPCv2CBOR, plain, 404, "\xbf\x66__type\x71NotFoundException\x67Message\x68no thing\xff",
			"Content-Type=application/cbor Smithy-Protocol=rpc-v2-cbor X-Amzn-Query-Error=Things.NotFound;Sender"},
		{service.RestXML, broken, 503, `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
			`<ErrorResponse xmlns="http://things/"><Error><Type>Receiver</Type><Code>Broken</Code></Error><RequestId>ID</RequestId></ErrorResponse>`, "Content-Type=application/xml"},
	}
	for _, tt := range tests {
		c, _ := protocol.For(tt.protocol)
		resp := c.EncodeFault(api, nil, "ID", tt.fault)
		if resp.Status != tt.status || string(resp.Body) != tt.body {
			t.Errorf("%s %s\ngot  %d %s\nwant %d %s", tt.protocol, tt.fault.Code, resp.Status, resp.Body, tt.status, tt.body)
		}
		for h := range strings.FieldsSeq(tt.headers + " X-Amzn-Requestid=ID") {
			k, v, _ := strings.Cut(h, "=")
			if got := resp.Header.Get(k); got != v {
				t.Errorf("%s %s: header %s is %q, want %q", tt.protocol, tt.fault.Code, k, got, v)
			}
		}
	}
	// A fault may come before the API is known.
	for _, p := range protocols {
		c, _ := protocol.For(p)
		if resp := c.EncodeFault(nil, nil, "ID", unknown); resp.Status != 403 || !strings.Contains(string(resp.Body), "not you") {
			t.Errorf("%s: %d %s", p, resp.Status, resp.Body)
		}
	}
}

// What a client sends that is no message of its protocol is refused with a fault of that protocol, whatever it is.
func FuzzDecode(f *testing.F) {
	f.Add("a=b&Action=x", `{"Name":"n"}`, "h")
	f.Add("Action=PutThing&Name=n", "\xbf\x64Name\x61n\xff", "h")
	f.Add("", `<Thing><Name>n</Name></Thing>`, `a,"b`)
	f.Fuzz(func(t *testing.T, query, body, header string) {
		values, _ := url.ParseQuery(query)
		for _, p := range protocols {
			c, _ := protocol.For(p)
			r := &wire.Request{
				Method: "POST", Query: values, Body: strings.NewReader(body), Labels: map[string]string{"ID": header},
				Header: http.Header{"X-List": {header}, "X-Time": {header}, "X-Meta-A": {header}, "Content-Type": {header}},
			}
			in := &thing{}
			err := c.Decode(api, &service.OperationModel{Name: "PutThing"}, r, in)
			if err != nil {
				if cloud.FaultCode(err) == "" {
					t.Fatalf("%s: not a fault: %v", p, err)
				}
				continue
			}
			if err := protocol.Validate(api, p, in); err != nil && cloud.FaultCode(err) == "" {
				t.Fatalf("%s: not a fault: %v", p, err)
			}
			if _, err := c.Encode(api, &service.OperationModel{Name: "PutThing"}, "ID", in); err != nil {
				t.Fatal(err)
			}
		}
	})
}

type thing struct {
	ID    *string           `in:"uri" len:"1:5"`
	Count *int32            `in:"query" range:"1:"`
	List  []string          `in:"header" wire:"X-List" e.pat:"[a-z]+"`
	Times []string          `in:"header" wire:"X-Time"`
	Meta  map[string]string `in:"headers" wire:"X-Meta-"`
	Name  *string           `req:"" enum:"n,m"`
	Tags  map[string]thing  `k.len:":3"`
	Sub   []thing
}

func TestValidate(t *testing.T) {
	type input struct {
		Name *string `name:"name" enum:"A"`
	}
	in := &input{new("x")}
	full := "1 validation error detected: Value 'x' at 'name' failed to satisfy constraint: Member must satisfy enum value set: [A]"
	for _, tt := range []struct {
		id       string
		protocol service.Protocol
		want     string
	}{
		{"EventBridge", service.AWSJSON11, "ValidationException: " + full},
		{"Lambda", service.RestJSON, "ValidationException: " + full},
		{"CloudWatch Logs", service.AWSJSON11, "InvalidParameterException: " + full},
		{"CloudFormation", service.AWSQuery, "ValidationError: " + full},
		{"IAM", service.AWSQuery, "ValidationError: 1 validation error detected: Value at 'name' failed to satisfy constraint: Member must satisfy enum value set"},
		{"API Gateway", service.RestJSON, "ValidationException: " + strings.Replace(full, "'name'", "'input.name'", 1)},
	} {
		err := protocol.Validate(&service.API{ServiceID: tt.id}, tt.protocol, in)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s\ngot  %v\nwant %s", tt.id, err, tt.want)
		}
	}
	if err := protocol.Validate(&service.API{ServiceID: "S3"}, service.RestXML, in); err != nil {
		t.Errorf("S3: %v", err)
	}
}

func TestCheck(t *testing.T) {
	patterns, err := protocol.Check(&service.API{Operations: []service.OperationModel{{
		Name: "A", URI: "/{id}", Output: reflect.TypeFor[struct{}](),
		Input: reflect.TypeFor[struct {
			Name *string `pat:"(a)\\1"`
		}](),
	}}})
	if err != nil || len(patterns) != 1 {
		t.Errorf("%v, %v", patterns, err)
	}
	_, err = protocol.Check(&service.API{Operations: []service.OperationModel{{
		Name: "A", URI: "/{id", Input: reflect.TypeFor[struct{ C chan int }](), Output: reflect.TypeFor[struct{}](),
	}}})
	if err == nil || !strings.Contains(err.Error(), "bad label") || !strings.Contains(err.Error(), "chan int") {
		t.Error(err)
	}
}
