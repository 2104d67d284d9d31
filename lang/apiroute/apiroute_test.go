package apiroute_test

import (
	"fmt"
	"testing"

	"lambent/lang/apiroute"
)

func TestFind(t *testing.T) {
	var tree apiroute.Tree[string]
	for _, r := range [][2]string{{"/", "GET"}, {"/users", "GET"}, {"/users/{id}", "ANY"}, {"/users/me", "GET"}, {"/users/{id}/posts/{post}", "GET"},
		{"/users/{id}/{rest+}", "GET"}, {"/files/{path+}", "GET"}, {"/{proxy+}", "ANY"}, {"/{proxy+}", "PUT"}} {
		tree.Add(r[0], r[1], r[1]+" "+r[0])
	}
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/", "GET / []"},
		{"POST", "/", ""},
		{"GET", "/users", "GET /users []"},
		{"GET", "/users/me", "GET /users/me []"},
		{"GET", "/users/m%65", "GET /users/me []"},
		{"POST", "/users/me", "ANY /users/{id} [{id me}]"},
		{"GET", "/users/7/posts/8", "GET /users/{id}/posts/{post} [{id 7} {post 8}]"},
		{"GET", "/users/7/a/b", "GET /users/{id}/{rest+} [{id 7} {rest a/b}]"},
		{"GET", "/users/a%2Fb", "ANY /users/{id} [{id a%2Fb}]"},
		{"GET", "/files/a//b", "GET /files/{path+} [{path a//b}]"},
		{"POST", "/users", "ANY /{proxy+} [{proxy users}]"},
		{"PUT", "/x/", "PUT /{proxy+} [{proxy x/}]"},
		{"GET", "/files", "ANY /{proxy+} [{proxy files}]"},
	} {
		route, params, ok := tree.Find(tt.path, tt.method)
		got := ""
		if ok {
			got = fmt.Sprintf("%s %v", route, params)
			if params == nil {
				got = route + " []"
			}
		}
		if got != tt.want {
			t.Errorf("Find(%s %s) = %q, want %q", tt.method, tt.path, got, tt.want)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add("/a/{b}/{c+}", "/a/x%2Fy//z")
	f.Add("{}/{+}/{", "//")
	f.Fuzz(func(t *testing.T, template, path string) {
		var tree apiroute.Tree[string]
		tree.Add(template, "GET", template)
		tree.Add("/{all+}", "ANY", "all")
		if route, _, ok := tree.Find(path, "GET"); ok && route != template && route != "all" {
			t.Errorf("Find(%q) = %q", path, route)
		}
	})
}
