package gateway_test

import (
	"bytes"
	"compress/gzip"
	"net/url"
	"strings"
	"testing"

	"lambent/service/servicetest"
)

// One service speaks three protocols: what the request carries decides, and the reply is in kind.
func TestProtocolsOfOneService(t *testing.T) {
	c := servicetest.New(t, testServices()...)
	cbor := []string{"Smithy-Protocol: rpc-v2-cbor", "Content-Type: application/cbor", "Accept: application/cbor"}
	const path = "/service/Meters_1/operation/"
	for _, tt := range []struct {
		name   string
		reply  *servicetest.Reply
		status int
		holds  string
		header string
	}{
		{"cbor", c.REST("meters", "POST", path+"Say", "\xa1\x64Name\x65hello", cbor...), 200, "\xbf\x64Name\x65hello\xff", "Smithy-Protocol=rpc-v2-cbor"},
		{"cbor behind a prefix", c.REST("meters", "POST", "/a/b"+path+"Say", "\xa1\x64Name\x65hello", cbor...), 200, "\x65hello", "Content-Type=application/cbor"},
		{"cbor, a fault", c.REST("meters", "POST", path+"Say", "\xa1\x64Name\x66absent", cbor...), 404, "NoSuchThing", "X-Amzn-Query-Error=NoSuchThing;Sender"},
		{"cbor, invalid", c.REST("meters", "POST", path+"Say", "\xa1\x64Name\x61x", cbor...), 400, "ValidationException", "Content-Type=application/cbor"},
		{"cbor, malformed", c.REST("meters", "POST", path+"Say", "\xa1\x64Name", cbor...), 400, "SerializationException", "Content-Type=application/cbor"},
		{"cbor, no such operation", c.REST("meters", "POST", path+"Nothing", "\xa0", cbor...), 400, "UnknownOperationException", ""},
		{"cbor, not answered here", c.REST("meters", "POST", path+"Missing", "\xa0", cbor...), 501, "NotImplemented", ""},
		{"cbor, no such service", c.REST("meters", "POST", "/service/Other/operation/Say", "\xa0", cbor...), 501, "NotImplemented", ""},
		{"cbor, a service that does not speak it", c.REST("table", "POST", "/service/Table_1/operation/Say", "\xa0", cbor...), 501, "NotImplemented", ""},
		{"json", c.JSON("Meters_1.Say", `{"Name":"hello"}`, "meters"), 200, `{"Name":"hello"}`, "Content-Type=application/x-amz-json-1.1"},
		{"query", c.Query("meters", url.Values{"Action": {"Say"}, "Version": {"5"}, "Name": {"hello"}}), 200, "<SayResult><Name>hello</Name></SayResult>", "Content-Type=text/xml"},
		{"ec2", c.Query("machines", url.Values{"Action": {"Say"}, "Version": {"6"}, "Name": {"hello"}}), 200, `<SayResponse xmlns="urn:machines"><requestId>`, "Content-Type=text/xml;charset=UTF-8"},
		{"ec2, a fault", c.Query("machines", url.Values{"Action": {"Say"}, "Version": {"6"}, "Name": {"absent"}}), 404, `<Response><Errors><Error><Code>NoSuchThing</Code>`, ""},
		{"of two services with one scope, the query", c.Query("mail", url.Values{"Action": {"Say"}, "Version": {"7"}, "Name": {"hello"}}), 200, "<SayResult><Name>hello</Name></SayResult>", ""},
		{"of two services with one scope, the other", c.REST("mail", "POST", "/v2/say", `{"Name":"hello"}`), 200, `{"Name":"hello"}`, "Content-Type=application/json"},
		{"XML in a body", c.REST("zones", "POST", "/2013-04-01/say", "<SayRequest><Name>hello</Name></SayRequest>"), 200, "<Name>hello</Name>", "Content-Type=application/xml"},
		{"the path without the header", c.REST("s3", "PUT", path+"Say", "x"), 200, "x", ""}, // an object of the bucket "service"
	} {
		if tt.reply.Status != tt.status || !strings.Contains(string(tt.reply.Body), tt.holds) {
			t.Errorf("%s: %d %q, want %d with %q", tt.name, tt.reply.Status, tt.reply.Body, tt.status, tt.holds)
		}
		if name, want, _ := strings.Cut(tt.header, "="); name != "" && tt.reply.Header.Get(name) != want {
			t.Errorf("%s: header %s is %q, want %q", tt.name, name, tt.reply.Header.Get(name), want)
		}
	}
}

// SDKs compress large inputs of some operations; the signature is over the compressed bytes.
func TestCompressedRequests(t *testing.T) {
	c := servicetest.New(t, testServices()...)
	pack := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(text))
		_ = z.Close()
		return b.String()
	}
	reply := c.REST("table", "POST", "/", pack(`{"Name":"hello"}`), "Content-Encoding: gzip", "X-Amz-Target: Table_1.Say", "Content-Type: application/x-amz-json-1.0")
	if reply.Status != 200 || string(reply.Body) != `{"Name":"hello"}` {
		t.Errorf("json: %d %s", reply.Status, reply.Body)
	}
	reply = c.REST("asks", "POST", "/", pack("Action=Say&Version=3&Name=hello"), "Content-Encoding: gzip", "Content-Type: application/x-www-form-urlencoded")
	if reply.Status != 200 || !strings.Contains(string(reply.Body), "<Name>hello</Name>") {
		t.Errorf("query: %d %s", reply.Status, reply.Body)
	}
	bomb := pack(strings.Repeat(" ", 17<<20))
	reply = c.REST("table", "POST", "/", bomb, "Content-Encoding: gzip", "X-Amz-Target: Table_1.Say", "Content-Type: application/x-amz-json-1.0")
	if reply.Status != 413 {
		t.Errorf("17 MiB out of %d bytes: %d %s", len(bomb), reply.Status, reply.Body)
	}
}
