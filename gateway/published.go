package gateway

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"

	"lambent/service"
)

// servePublished hands the request to the Endpoint whose host label or path it has, if any.
func (x *exchange) servePublished() bool {
	endpoint, at, path := x.place.endpoint, service.Published{ID: x.place.id, Region: x.place.region}, x.r.URL.EscapedPath()
	if endpoint == nil {
		endpoint, at, path = x.g.publishedByPath(path)
		if endpoint == nil || x.place.bucket != "" {
			return false
		}
	}
	x.service, x.operation = endpoint.Label, "request"
	x.pace()
	if at.Caller = x.recognise(x.r.Context()); !at.Caller.Anonymous {
		at.Signed = x.claim.Service
	}
	if x.whole {
		x.r.Body = io.NopCloser(bytes.NewReader(x.body))
	}
	x.w.deadlineEachWrite = true
	endpoint.Serve(x.w, below(x.r, path), at)
	return true
}

// publishedByPath asks the endpoints that have a path form.
func (g *Gateway) publishedByPath(path string) (*service.Endpoint, service.Published, string) {
	for _, e := range g.endpoints {
		if e.Path == nil {
			continue
		}
		if id, rest, ok := e.Path(path); ok {
			if !strings.HasPrefix(rest, "/") {
				rest = "/" + rest
			}
			return e, service.Published{ID: id, PathForm: true, Prefix: strings.TrimSuffix(path, rest)}, rest
		}
	}
	return nil, service.Published{}, ""
}

// below returns r with another path, which is given escaped.
func below(r *http.Request, path string) *http.Request {
	plain, err := url.PathUnescape(path)
	if err != nil {
		plain = path
	}
	u := *r.URL
	u.Path, u.RawPath = plain, path
	moved := r.WithContext(r.Context())
	moved.URL = &u
	return moved
}
