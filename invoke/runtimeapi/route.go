package runtimeapi

import "bytes"

type routeKind uint8

const (
	routeNone routeKind = iota
	routeNext
	routeResponse
	routeError
	routeInitError
	routeStem
)

// A route is what a path asks for.
type route struct {
	kind routeKind
	id   []byte // request id; part of the path
}

func (r route) method() string {
	if r.kind == routeNext || r.kind == routeStem {
		return "GET"
	}
	return "POST"
}

func routeOf(path []byte) route {
	rest, ok := bytes.CutPrefix(path, []byte(pathRuntime))
	if !ok {
		if string(path) == "/lambent/stem/next" {
			return route{kind: routeStem}
		}
		return route{}
	}
	switch string(rest) {
	case "invocation/next":
		return route{kind: routeNext}
	case "init/error":
		return route{kind: routeInitError}
	}
	rest, ok = bytes.CutPrefix(rest, []byte("invocation/"))
	id, verb, ok2 := bytes.Cut(rest, []byte{'/'})
	if !ok || !ok2 || len(id) == 0 {
		return route{}
	}
	switch string(verb) {
	case "response":
		return route{kind: routeResponse, id: id}
	case "error":
		return route{kind: routeError, id: id}
	}
	return route{}
}
