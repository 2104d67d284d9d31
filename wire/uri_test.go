package wire_test

import (
	"reflect"
	"testing"

	"lambent/wire"
)

func TestURI(t *testing.T) {
	tests := []struct {
		pattern, path string
		want          map[string]string // nil: no match
	}{
		{"/", "/", map[string]string{}},
		{"/", "/x", nil},
		{"/2015-03-31/functions", "/2015-03-31/functions", map[string]string{}},
		{"/2015-03-31/functions/", "/2015-03-31/functions", nil},
		{"/2015-03-31/functions/{FunctionName}/code", "/2015-03-31/functions/arn%3Aaws%3Alambda/code", map[string]string{"FunctionName": "arn%3Aaws%3Alambda"}},
		{"/2015-03-31/functions/{FunctionName}", "/2015-03-31/functions/a%2Fb", map[string]string{"FunctionName": "a%2Fb"}},
		{"/2015-03-31/functions/{FunctionName}", "/2015-03-31/functions/", nil},
		{"/2015-03-31/functions/{FunctionName}", "/2015-03-31/functions/a/b", nil},
		{"/{Bucket}/{Key+}?tagging", "/b/a/b//c%20d/", map[string]string{"Bucket": "b", "Key": "a/b//c%20d/"}},
		{"/{Bucket}/{Key+}", "/b/", nil},
		{"/{Bucket}/{Key+}", "/b", nil},
		{"/a/{Path+}/end", "/a/x/y/end", map[string]string{"Path": "x/y"}},
		{"/a/{Path+}/end", "/a/end", nil},
		{"/a/b", "/%61/b", map[string]string{}},
		{"/a", "a", nil},
	}
	for _, tt := range tests {
		u, err := wire.ParseURI(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := u.Match(tt.path)
		if ok != (tt.want != nil) || ok && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s against %s: %v, %v, want %v", tt.pattern, tt.path, got, ok, tt.want)
		}
	}
}

func TestParseURI(t *testing.T) {
	u, err := wire.ParseURI("/{Bucket}/{Key+}?x-id=Get&acl")
	if err != nil {
		t.Fatal(err)
	}
	if !u.Segments[1].Greedy || u.Query.Get("x-id") != "Get" || !u.Query.Has("acl") {
		t.Errorf("%+v", u)
	}
	for _, bad := range []string{"", "x", "/{", "/{}", "/{a", "/{+}", "/a?%zz"} {
		if _, err := wire.ParseURI(bad); err == nil {
			t.Errorf("%q passed", bad)
		}
	}
}
