package gateway

import (
	"context"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"lambent/service"
	"lambent/service/iam"
	"lambent/service/logs"
	"lambent/service/s3"
)

type (
	functionInput struct {
		FunctionName *string `in:"uri" req:""`
	}
	tagsInput struct {
		Resource *string `in:"uri" req:""`
	}
	emptyInput struct{}
)

// lambdaLike is a REST service with the shapes of URI that Lambda has.
func lambdaLike() service.Service {
	op := func(name, method, uri string, input reflect.Type) service.OperationModel {
		return service.OperationModel{Name: name, Method: method, URI: uri, Input: input, Output: reflect.TypeFor[emptyInput]()}
	}
	return service.Service{API: &service.API{
		Name: "lambda", ServiceID: "Lambda", Version: "2015-03-31", Endpoint: "lambda", SigningName: "lambda",
		Protocols: []service.Protocol{service.RestJSON},
		Operations: []service.OperationModel{
			op("ListFunctions", "GET", "/2015-03-31/functions/", reflect.TypeFor[emptyInput]()),
			op("GetFunction", "GET", "/2015-03-31/functions/{FunctionName}", reflect.TypeFor[functionInput]()),
			op("Invoke", "POST", "/2015-03-31/functions/{FunctionName}/invocations", reflect.TypeFor[functionInput]()),
			op("ListTags", "GET", "/2017-03-31/tags/{Resource}", reflect.TypeFor[tagsInput]()),
			op("Import", "POST", "/2017-03-31/tags?mode=import", reflect.TypeFor[emptyInput]()),
		},
	}}
}

func testGateway(t *testing.T) *Gateway {
	t.Helper()
	g, err := New(Config{
		Keys: noKeys{}, Domain: "cloud.example.com:4566",
		Services: []service.Service{
			s3.New(nil, nil, "").Service(), logs.New(nil).Service(), iam.New(nil).Service(), lambdaLike(),
			{API: &service.API{Name: "gate", SigningName: "gate", Endpoint: "gate", Protocols: []service.Protocol{service.RestJSON}},
				Endpoints: []service.Endpoint{{Label: "execute-api"}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestRoute(t *testing.T) {
	g := testGateway(t)
	tests := []struct {
		method, target, host, scope, header string
		want                                string // service:operation, or the fault's code
	}{
		// S3, told apart by query literals, required members and headers.
		{"GET", "/", "", "s3", "", "s3:ListBuckets"},
		{"GET", "/?x-id=ListBuckets", "", "s3", "", "s3:ListBuckets"},
		{"PUT", "/bucket", "", "s3", "", "s3:CreateBucket"},
		{"PUT", "/bucket/", "", "s3", "", "s3:CreateBucket"},
		{"GET", "/bucket", "", "s3", "", "s3:ListObjects"},
		{"GET", "/bucket?list-type=2&prefix=a", "", "s3", "", "s3:ListObjectsV2"},
		{"GET", "/bucket?list-type=1", "", "s3", "", "s3:ListObjects"},
		{"GET", "/bucket?location", "", "s3", "", "s3:GetBucketLocation"},
		{"GET", "/bucket?location=", "", "s3", "", "s3:GetBucketLocation"},
		{"GET", "/bucket?uploads", "", "s3", "", "s3:ListMultipartUploads"},
		{"POST", "/bucket?delete", "", "s3", "", "s3:DeleteObjects"},
		{"DELETE", "/bucket?versioning", "", "s3", "", "MethodNotAllowed"},
		{"DELETE", "/bucket", "", "s3", "", "s3:DeleteBucket"},
		{"POST", "/bucket", "", "s3", "", "MethodNotAllowed"},
		{"GET", "/bucket?id=a&analytics", "", "s3", "", "s3:GetBucketAnalyticsConfiguration"},
		{"GET", "/bucket?analytics", "", "s3", "", "s3:ListBucketAnalyticsConfigurations"},
		{"GET", "/bucket/key", "", "s3", "", "s3:GetObject"},
		{"GET", "/bucket/key?partNumber=2", "", "s3", "", "s3:GetObject"},
		{"GET", "/bucket/key?uploadId=x", "", "s3", "", "s3:ListParts"},
		{"GET", "/bucket/key?attributes", "", "s3", "", "s3:GetObjectAttributes"},
		{"GET", "/bucket/key?attributes", "", "s3", "x-amz-object-attributes: ETag", "s3:GetObjectAttributes"},
		{"HEAD", "/bucket/key", "", "s3", "", "s3:HeadObject"},
		{"PUT", "/bucket/a//b/", "", "s3", "", "s3:PutObject"},
		{"PUT", "/bucket/key?tagging", "", "s3", "", "s3:PutObjectTagging"},
		{"PUT", "/bucket/key", "", "s3", "x-amz-copy-source: b/k", "s3:CopyObject"},
		{"PUT", "/bucket/key?partNumber=1&uploadId=x", "", "s3", "", "s3:UploadPart"},
		{"PUT", "/bucket/key?partNumber=1&uploadId=x", "", "s3", "x-amz-copy-source: b/k", "s3:UploadPartCopy"},
		{"POST", "/bucket/key?uploads", "", "s3", "", "s3:CreateMultipartUpload"},
		{"POST", "/bucket/key?uploadId=x", "", "s3", "", "s3:CompleteMultipartUpload"},
		{"DELETE", "/bucket/key?uploadId=x", "", "s3", "", "s3:AbortMultipartUpload"},
		{"DELETE", "/bucket/key", "", "s3", "", "s3:DeleteObject"},
		{"POST", "/bucket/key?select&select-type=2", "", "s3", "", "s3:SelectObjectContent"},
		// Virtual hosts.
		{"GET", "/", "bucket.s3.us-east-1.localhost:4566", "s3", "", "s3:ListObjects"},
		{"PUT", "/", "bucket.s3.amazonaws.com", "s3", "", "s3:CreateBucket"},
		{"GET", "/health", "bucket.s3.amazonaws.com", "", "", "s3:GetObject"},
		{"GET", "/k", "", "", "", "s3:ListObjects"},
		{"GET", "/b/k", "", "", "", "s3:GetObject"},
		// JSON.
		{"POST", "/", "", "logs", "X-Amz-Target: Logs_20140328.CreateLogGroup", "logs:CreateLogGroup"},
		{"POST", "/", "", "logs", "X-Amz-Target: Logs_20140328.Dance", "UnknownOperationException"},
		{"POST", "/", "", "dynamodb", "X-Amz-Target: DynamoDB_20120810.PutItem", "NotImplemented"},
		{"POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", "", "monitoring", "", "NotImplemented"},
		// Query.
		{"GET", "/?Action=ListRoles&Version=2010-05-08", "", "iam", "", "iam:ListRoles"},
		{"GET", "/?Action=ListRoles", "", "iam", "", "iam:ListRoles"},
		{"GET", "/?Action=ListRoles&Version=1999-01-01", "", "iam", "", "InvalidAction"},
		{"GET", "/?Action=Dance&Version=2010-05-08", "", "iam", "", "InvalidAction"},
		{"GET", "/", "", "iam", "", "MissingAction"},
		{"GET", "/?Action=ListRoles&Version=2010-05-08", "", "", "", "iam:ListRoles"},
		{"GET", "/?Action=ListRoles", "iam.amazonaws.com", "", "", "iam:ListRoles"},
		{"GET", "/bucket?Action=ListRoles&Version=2010-05-08", "", "s3", "", "s3:ListObjects"},
		// REST JSON.
		{"GET", "/2015-03-31/functions/", "", "lambda", "", "lambda:ListFunctions"},
		{"GET", "/2015-03-31/functions", "", "lambda", "", "lambda:ListFunctions"},
		{"GET", "/2015-03-31/functions/f", "", "lambda", "", "lambda:GetFunction"},
		{"POST", "/2015-03-31/functions/f/invocations", "", "lambda", "", "lambda:Invoke"},
		{"POST", "/2015-03-31/functions/f/invocations", "", "", "", "lambda:Invoke"},
		{"POST", "/2015-03-31/functions/f/invocations", "lambda.eu-west-1.amazonaws.com", "", "", "lambda:Invoke"},
		{"GET", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aeu-west-1%3A1%3Afunction%2Fx", "", "lambda", "", "lambda:ListTags"},
		{"POST", "/2017-03-31/tags?mode=import", "", "lambda", "", "lambda:Import"},
		{"POST", "/2017-03-31/tags?mode=other", "", "lambda", "", "UnsupportedOperationException"},
		{"DELETE", "/2015-03-31/functions/f", "", "lambda", "", "UnsupportedOperationException"},
		{"GET", "/2015-03-31/nothing", "", "lambda", "", "UnknownOperationException"},
		{"GET", "/x", "", "mystery", "", "NotImplemented"},
	}
	for _, tt := range tests {
		t.Run(strings.Join([]string{tt.method, tt.host, tt.target, tt.scope}, " "), func(t *testing.T) {
			r := httptest.NewRequest(tt.method, tt.target, nil)
			r.Host = tt.host
			if name, value, ok := strings.Cut(tt.header, ": "); ok {
				r.Header.Set(name, value)
			}
			if tt.scope != "" {
				r.Header.Set("X-Amz-Date", "20130524T000000Z")
				r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AK/20130524/us-east-1/"+tt.scope+"/aws4_request, SignedHeaders=host, Signature=00")
			}
			x := &exchange{g: g, r: r, query: r.URL.Query(), header: r.Header, place: g.hosts.read(r.Host)}
			x.identify()
			target, err := x.route()
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if target.op != nil {
				got = target.room.api.Name + ":" + target.op.model.Name
			} else {
				got = target.unknown.Code
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestLabels(t *testing.T) {
	g := testGateway(t)
	for _, tt := range []struct{ host, target, bucket, key string }{
		{"", "/bucket/a%2Fb//c/", "bucket", "a%2Fb//c/"},
		{"", "/bucket//a", "bucket", "/a"},
		{"", "/bucket/../x", "bucket", "../x"},
		{"my.dotted.bucket.s3.eu-west-1.amazonaws.com", "/a/b", "my.dotted.bucket", "a/b"},
		{"bucket.s3.cloud.example.com:4566", "/a", "bucket", "a"},
		{"bucket.s3.anything.at.all", "/a", "bucket", "a"},
	} {
		r := httptest.NewRequest("GET", tt.target, nil)
		r.Host = tt.host
		x := &exchange{g: g, r: r, query: r.URL.Query(), header: r.Header, place: g.hosts.read(r.Host)}
		x.identify()
		target, err := x.route()
		if err != nil || target.op == nil {
			t.Errorf("%s%s: %v, %v", tt.host, tt.target, target.unknown, err)
			continue
		}
		if target.labels["Bucket"] != tt.bucket || target.labels["Key"] != tt.key {
			t.Errorf("%s%s: got %v, want bucket %q and key %q", tt.host, tt.target, target.labels, tt.bucket, tt.key)
		}
	}
}

func TestHosts(t *testing.T) {
	g := testGateway(t)
	for _, tt := range []struct{ host, service, bucket, id, region string }{
		{host: "localhost:4566"},
		{host: "127.0.0.1:4566"},
		{host: "[::1]:4566"},
		{host: "cloud.example.com:4566"},
		{host: "CLOUD.example.com."},
		{host: "s3.amazonaws.com", service: "s3"},
		{host: "s3.us-west-2.amazonaws.com", service: "s3", region: "us-west-2"},
		{host: "s3.dualstack.us-west-2.amazonaws.com", service: "s3", region: "us-west-2"},
		{host: "s3-us-west-2.amazonaws.com", service: "s3", region: "us-west-2"},
		{host: "b.s3-us-west-2.amazonaws.com", service: "s3", bucket: "b", region: "us-west-2"},
		{host: "B.s3.localhost:4566", service: "s3", bucket: "b"},
		{host: "s3-like.s3.eu-west-1.localhost", service: "s3", bucket: "s3-like", region: "eu-west-1"},
		{host: "bucket.localhost:4566"},
		{host: "lambda.eu-west-1.amazonaws.com", service: "lambda", region: "eu-west-1"},
		{host: "iam.amazonaws.com", service: "iam"},
		{host: "abc.execute-api.eu-west-1.cloud.example.com:4566", id: "abc", region: "eu-west-1"},
		{host: "abc.execute-api.localhost", id: "abc"},
		{host: "abc.execute-api.eu-west-1.elsewhere.net", id: "abc", region: "eu-west-1"},
		{host: "execute-api.localhost"},
	} {
		a := g.hosts.read(tt.host)
		name := ""
		if a.room != nil {
			name = a.room.api.Name
		}
		if name != tt.service || a.bucket != tt.bucket || a.id != tt.id || a.region != tt.region || (a.endpoint != nil) != (tt.id != "") {
			t.Errorf("%s: service %q bucket %q id %q region %q, want %+v", tt.host, name, a.bucket, a.id, a.region, tt)
		}
	}
}

// TestHoisted reads headers from the query string of a presigned URL.
func TestHoisted(t *testing.T) {
	g := testGateway(t)
	r := httptest.NewRequest("PUT", "/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK/20130524/us-east-1/s3/aws4_request&X-Amz-Date=20130524T000000Z"+
		"&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00&X-Amz-Copy-Source=b/k&x-amz-meta-a=1&x-amz-checksum-crc32=AAAAAA%3D%3D&X-Amz-Acl=private", nil)
	r.Header.Set("X-Amz-Acl", "public-read")
	x := &exchange{g: g, r: r, query: r.URL.Query()}
	x.identify()
	x.header = x.hoisted()
	target, err := x.route()
	if err != nil || target.op == nil || target.op.model.Name != "CopyObject" {
		t.Errorf("%v, %v, want CopyObject", target.op, err)
	}
	if x.header.Get("X-Amz-Meta-A") != "1" || x.header.Get("X-Amz-Checksum-Crc32") != "" || x.header.Get("X-Amz-Signature") != "" || x.header.Get("X-Amz-Acl") != "public-read" {
		t.Errorf("header %v", x.header)
	}
}

func FuzzRoute(f *testing.F) {
	f.Add("GET", "/bucket/a%2Fb?uploads", "b.s3.localhost")
	f.Add("PUT", "//..//%zz?&&==", "....")
	g, err := New(Config{Keys: noKeys{}, Services: []service.Service{s3.New(nil, nil, "").Service(), lambdaLike()}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, target, host string) {
		r := httptest.NewRequest("GET", "/", nil)
		u, err := r.URL.Parse(target)
		if err != nil {
			return
		}
		r.Method, r.URL, r.Host = method, u, host
		x := &exchange{g: g, r: r, query: r.URL.Query(), header: r.Header, place: g.hosts.read(host)}
		x.identify()
		found, err := x.route()
		if err != nil {
			t.Fatal(err)
		}
		if (found.op == nil) == (found.unknown == nil) {
			t.Fatalf("neither an operation nor a reason why not, or both: %+v", found)
		}
	})
}

type noKeys struct{}

func (noKeys) Secret(context.Context, string, string) (Key, error) { return Key{}, nil }
