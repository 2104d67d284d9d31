package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"lambent/cloud"
	"lambent/service"
	"lambent/wire"
	"lambent/wire/protocol"
)

// A target is the operation that a request is for, or the protocol to say in that there is none.
type target struct {
	protocol service.Protocol
	family   family
	room     *room
	op       *operation
	labels   map[string]string
	unknown  *cloud.Fault // why op is nil; told only to those who signed rightly
}

// api returns the model of the target's service, or an empty one in the target's protocol.
func (t *target) api() *service.API {
	if t.room != nil {
		return t.room.api
	}
	return &service.API{Protocols: []service.Protocol{t.protocol}}
}

func (t *target) codec() (wire.Codec, bool) { return protocol.For(t.protocol) }

// isQuery tells whether the protocol is one of the query protocols, whose parameters may stand in the URL.
func (t *target) isQuery() bool {
	return t.protocol == service.AWSQuery || t.protocol == service.EC2Query
}

// route finds the operation of a request that is not for a published endpoint. It may read a form body.
func (x *exchange) route() (target, error) {
	if name := x.r.Header.Get("X-Amz-Target"); name != "" {
		return x.g.routeTarget(name, x.r.Header.Get("Content-Type")), nil
	}
	if t, ok := x.g.routeCBOR(x.r); ok {
		return t, nil
	}
	if t, ok, err := x.routeQuery(); ok || err != nil {
		return t, err
	}
	return x.routeREST(), nil
}

func (g *Gateway) routeTarget(name, contentType string) target {
	t := target{protocol: service.AWSJSON11, family: familyJSON}
	if strings.HasPrefix(contentType, "application/x-amz-json-1.0") {
		t.protocol = service.AWSJSON10
	}
	prefix, operation, _ := cutLast(name, ".")
	t.room = g.byTarget[prefix]
	if t.room == nil {
		t.unknown = notImplemented("lambent does not implement the service of the target %s yet.", name)
		return t
	}
	for _, p := range t.room.api.Protocols { // the service's own version decides; clients take either in a reply
		if p == service.AWSJSON10 || p == service.AWSJSON11 {
			t.protocol = p
		}
	}
	t.find(operation)
	return t
}

// find looks the operation up by name.
func (t *target) find(operation string) {
	t.op = t.room.operations[operation]
	if t.op == nil {
		t.unknown = t.family.unknownOperation(operation, t.room.api.Version)
	}
}

// routeCBOR finds the operation of a request in rpcv2Cbor. ok is false where it is none: without the header
// that names the protocol the path may be that of an object.
func (g *Gateway) routeCBOR(r *http.Request) (t target, ok bool) {
	if r.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" {
		return target{}, false
	}
	_, rest, ok := cutLast(r.URL.Path, "/service/") // what stands before it is an endpoint's prefix
	if !ok {
		return target{}, false
	}
	name, operation, ok := strings.Cut(rest, "/operation/")
	if !ok {
		return target{}, false
	}
	t = target{protocol: service.RPCv2CBOR, family: familyJSON, room: g.byTarget[name]}
	if t.room == nil || !speaks(t.room.api, service.RPCv2CBOR) {
		t.room = nil
		t.unknown = notImplemented("lambent does not implement the service %s yet.", name)
		return t, true
	}
	t.find(operation)
	return t, true
}

// routeQuery finds the operation of a request in a query protocol. ok is false where it is none.
func (x *exchange) routeQuery() (t target, ok bool, err error) {
	form := x.query
	if isForm(x.r) {
		if x.signedFor("s3") || len(x.candidates()) > 0 && !anySpeaksQuery(x.candidates()) {
			return t, false, nil
		}
		if err := x.readBody(maxBody); err != nil {
			return target{protocol: service.AWSQuery, family: familyQuery, room: x.queryRoom("", "")}, true, err
		}
		body, _, err := wire.Decompress(x.header, x.body, maxUnsignedBody) // nobody has looked at the signature yet
		if err != nil {
			return target{protocol: service.AWSQuery, family: familyQuery, room: x.queryRoom("", "")}, true, err
		}
		if form, err = url.ParseQuery(string(body)); err != nil {
			return target{protocol: service.AWSQuery, family: familyQuery, room: x.queryRoom("", ""),
				unknown: &cloud.Fault{Code: "MalformedInput", Message: "The body is not a valid form.", Status: 400, Cause: err}}, true, nil
		}
	}
	action, version := form.Get("Action"), form.Get("Version")
	if action == "" && anyHasRoutes(x.candidates()) {
		return t, false, nil // "ses" is two services, one of them with request URIs
	}
	r := x.queryRoom(action, version)
	if r == nil {
		if action == "" || x.signedFor("s3") || len(x.candidates()) > 0 {
			return t, false, nil
		}
		return target{protocol: service.AWSQuery, family: familyQuery,
			unknown: notImplemented("lambent does not implement the action %s of version %s yet.", action, version)}, true, nil
	}
	t = target{protocol: service.AWSQuery, family: familyQuery, room: r}
	if speaks(r.api, service.EC2Query) {
		t.protocol = service.EC2Query
	}
	switch {
	case action == "":
		t.unknown = &cloud.Fault{Code: "MissingAction", Message: "The request must contain the parameter Action.", Status: 400}
	case version != "" && version != r.api.Version:
		t.unknown = t.family.unknownOperation(action, version)
	default:
		t.find(action)
	}
	return t, true, nil
}

// queryRoom returns the service of a query request: that of the scope or of the host, else the only one
// with such an action and version.
func (x *exchange) queryRoom(action, version string) *room {
	var found *room
	for _, r := range x.candidates() {
		if !speaks(r.api, service.AWSQuery) && !speaks(r.api, service.EC2Query) {
			continue
		}
		if found == nil || r.api.Version == version {
			found = r
		}
	}
	if found != nil || x.claim != nil {
		return found
	}
	return x.g.queries[version+"/"+action]
}

func anySpeaksQuery(rooms []*room) bool {
	for _, r := range rooms {
		if speaks(r.api, service.AWSQuery) || speaks(r.api, service.EC2Query) {
			return true
		}
	}
	return false
}

func anyHasRoutes(rooms []*room) bool {
	for _, r := range rooms {
		if r.routes != nil {
			return true
		}
	}
	return false
}

// candidates returns the services that a request may be for: those of the credential scope, else the
// one that the host names.
func (x *exchange) candidates() []*room {
	if x.claim != nil {
		if x.signedFor("s3") && x.g.s3 != nil {
			return []*room{x.g.s3}
		}
		return x.g.bySigning[x.claim.Service]
	}
	if x.place.room != nil {
		return []*room{x.place.room}
	}
	return nil
}

// routeREST matches the request URIs of the candidates, and S3's when there are none.
func (x *exchange) routeREST() target {
	path := x.r.URL.EscapedPath()
	rooms := x.candidates()
	if x.claim == nil && len(rooms) == 0 {
		rooms = x.g.dated(path)
	}
	if x.claim != nil && len(rooms) == 0 {
		return target{protocol: service.RestJSON, family: familyRestJSON,
			unknown: notImplemented("lambent does not implement the service %q yet.", x.claim.Service)}
	}
	if len(rooms) == 0 && x.g.s3 != nil {
		rooms = []*room{x.g.s3}
	}
	if len(rooms) == 0 {
		return target{protocol: service.RestJSON, family: familyRestJSON, unknown: familyRestJSON.unknownOperation(path, "")}
	}

	t := target{room: rooms[0]}
	reason := noPath
	for _, r := range rooms {
		if r.routes == nil {
			continue
		}
		if r.family == familyS3 && x.place.bucket != "" {
			path = "/" + url.PathEscape(x.place.bucket) + path
		}
		op, labels, why := r.routes.find(path, x.r.Method, x.query, x.header)
		if op != nil {
			t.room, t.op, t.labels, reason = r, op, labels, hit
			break
		}
		if why > reason {
			t.room, reason = r, why
		}
	}
	t.protocol, t.family = t.room.api.Protocols[0], t.room.family
	for _, p := range t.room.api.Protocols {
		if p == service.RestJSON || p == service.RestXML {
			t.protocol = p
		}
	}
	if t.op == nil {
		t.unknown = t.family.missed(reason, x.r.Method)
	}
	return t
}

// dated returns the REST services with URIs that begin like path with an API's date ("/2015-03-31/…"):
// what an unsigned request to them, by address, can be told from one to a public bucket by.
func (g *Gateway) dated(path string) []*room {
	head, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if len(head) != len("2006-01-02") || head[4] != '-' || head[7] != '-' {
		return nil
	}
	var found []*room
	for _, r := range g.rooms {
		if r.routes != nil && r.routes.literals[head] != nil {
			found = append(found, r)
		}
	}
	return found
}

// signedFor tells whether the credential scope names the service, or one that follows its rules.
func (x *exchange) signedFor(signing string) bool {
	if x.claim == nil {
		return false
	}
	return x.claim.Service == signing || signing == "s3" && x.claim.Service == "s3express"
}

func isForm(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
}

// cutLast cuts s at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
