package apigateway

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/lang/apievent"
	"lambent/lang/apiroute"
	"lambent/lang/vtl"
	"lambent/service"
	"lambent/trace"
)

// maxRequest is the largest body that an API takes.
const maxRequest = 10 << 20

// pathForm recognises /restapis/ID/STAGE/_user_request_/PATH, for clients that cannot use the host form. What
// follows is as in the host form: /STAGE/PATH.
func pathForm(path string) (id, rest string, ok bool) {
	path, ok = strings.CutPrefix(path, "/restapis/")
	if !ok {
		return "", "", false
	}
	id, path, _ = strings.Cut(path, "/")
	stage, path, _ := strings.Cut(path, "/")
	path, ok = strings.CutPrefix(path, "_user_request_")
	if !ok || id == "" || stage == "" || (path != "" && path[0] != '/') {
		return "", "", false
	}
	return id, "/" + stage + path, true
}

// Has says whether there is a REST API of that identifier.
func (s *Service) Has(ctx context.Context, id string) (bool, error) {
	_, found, err := s.home(ctx, id)
	return found, err
}

// A call is one request to a stage on its way.
type call struct {
	s   *Service
	w   http.ResponseWriter
	r   *http.Request
	c   cloud.Caller // for the API's account and region
	rt  *router
	use *route
	ev  apievent.Request

	deadline time.Time // of mapping templates
	queries  map[string][]string
	params   *vtl.Map // $input.params(), made when first used, as is
	context  *vtl.Map // $context
}

// Serve answers a request to a published API.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, at service.Published) {
	home, found, err := s.home(r.Context(), at.ID)
	if err == nil && !found && s.others != nil {
		if found, err = s.others.Has(r.Context(), at.ID); found {
			s.others.Serve(w, r, at)
			return
		}
	}
	c := at.Caller
	c.Account, c.Region, c.Via = home.Account, home.Region, "apigateway.amazonaws.com"
	x := &call{s: s, w: w, r: r, c: c}
	x.identify(at)
	switch {
	case err != nil:
		x.refuse(errConfigured)
	case !found || (at.Region != "" && at.Region != home.Region):
		x.refuse(errForbidden)
	default:
		x.serve(at)
	}
}

// identify fills in what is known before the API is, and the headers that every answer has.
func (x *call) identify(at service.Published) {
	var random [11]byte
	_, _ = rand.Read(random[:]) // never fails
	x.ev = apievent.Request{
		API: at.ID, RequestID: x.c.RequestID, ExtendedID: base64.URLEncoding.EncodeToString(random[:]), Time: x.c.Now,
		Account: x.c.Account, Method: x.r.Method, Protocol: x.r.Proto, Header: x.r.Header, Host: x.r.Host, RawQuery: x.r.URL.RawQuery,
		Secure: x.c.Secure, SourceIP: x.c.SourceIP,
		Trace:        trace.Amazon(x.r.Context(), x.r.Header.Get("X-Amzn-Trace-Id"), x.c.Now),
		DomainPrefix: at.ID, Domain: x.r.Host,
	}
	x.c.Trace = x.ev.Trace
	if at.PathForm {
		x.ev.Domain = at.ID + ".execute-api." + x.c.Region + "." + x.s.domain
	}
	h := x.w.Header()
	h.Set("X-Amzn-Requestid", x.ev.RequestID)
	h.Set("X-Amz-Apigw-Id", x.ev.ExtendedID)
}

func (x *call) serve(at service.Published) {
	path := strings.TrimLeft(x.r.URL.EscapedPath(), "/")
	stage, rest, _ := strings.Cut(path, "/")
	if len(path) > len(stage) {
		rest = "/" + rest
	}
	x.ev.Stage, x.ev.FullPath, x.ev.Path = stage, "/"+stage+rest, "/"+strings.TrimLeft(rest, "/")
	rt, err := x.s.router(x.r.Context(), x.c, at.ID, stage)
	if err != nil {
		x.refuse(errConfigured)
		return
	}
	if rt == nil || rt.settings.Disabled {
		x.refuse(errForbidden)
		return
	}
	x.rt, x.ev.Deployment, x.ev.Variables = rt, cloud.Val(rt.stage.DeploymentId), rt.stage.Variables
	// A slash at the end matters to the event only.
	use, params, ok := rt.routes.Find("/"+strings.Trim(x.ev.Path, "/"), x.r.Method)
	if !ok {
		x.refuse(errNoRoute)
		return
	}
	x.use = use
	for _, p := range params {
		x.ev.Params = append(x.ev.Params, apievent.Param(p))
	}
	x.ev.Resource, x.ev.ResourceID, x.ev.Operation = x.use.path, x.use.resourceID, cloud.Val(x.use.method.OperationName)
	if !x.use.bucket.take(x.c.Now) {
		x.refuse(errThrottled)
		return
	}
	if !x.readBody() || !x.validate() {
		return
	}
	x.deadline = time.Now().Add(x.use.timeout)
	x.integrate()
}

// readBody reads the request's body, or refuses it.
func (x *call) readBody() bool {
	if x.r.Body == nil || x.r.ContentLength == 0 {
		return true
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, x.r.Body, maxRequest))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		x.refuse(errTooLarge)
		return false
	}
	if err != nil {
		x.refuse(errBadBody)
		return false
	}
	x.ev.Body = body
	return true
}

// validate asks the method's request validator.
func (x *call) validate() bool {
	var missing []string
	for _, p := range x.use.required {
		if _, ok := x.parameter(p); !ok {
			_, name, _ := strings.Cut(p, ".")
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		e := errBadParams
		e.message = "Missing required request parameters: [" + strings.Join(missing, ", ") + "]"
		x.refuse(e)
		return false
	}
	if x.use.validateBody && !x.validBody() {
		x.refuse(errBadBody)
		return false
	}
	return true
}

func (x *call) validBody() bool {
	schema := x.use.schemas[x.contentType()]
	if schema == nil {
		return true
	}
	doc, err := parseBody(x.ev.Body)
	return err == nil && schema.Valid(doc)
}

// contentType is the request's media type without parameters.
func (x *call) contentType() string {
	t, _, _ := strings.Cut(x.r.Header.Get("Content-Type"), ";")
	if t = strings.ToLower(strings.TrimSpace(t)); t != "" {
		return t
	}
	return "application/json"
}

// parameter returns a request parameter by the name that mappings give it: "header.X", "path.id", "querystring.q".
func (x *call) parameter(name string) (string, bool) {
	kind, name, _ := strings.Cut(name, ".")
	multi := strings.HasPrefix(kind, "multivalue")
	switch strings.TrimPrefix(kind, "multivalue") {
	case "header":
		values := x.r.Header.Values(name)
		if strings.EqualFold(name, "Host") {
			values = []string{x.r.Host}
		}
		return pick(values, multi)
	case "path":
		for _, p := range x.ev.Params {
			if p.Name == name {
				return apiroute.Unescape(p.Value), true
			}
		}
	case "querystring":
		if x.queries == nil {
			x.queries = map[string][]string{}
			for _, f := range apievent.Query(x.r.URL.RawQuery) {
				x.queries[f.Name] = f.Values
			}
		}
		return pick(x.queries[name], multi)
	}
	return "", false
}

func pick(values []string, all bool) (string, bool) {
	if len(values) == 0 {
		return "", false
	}
	if all {
		return strings.Join(values, ","), true
	}
	return values[len(values)-1], true
}

// binary says whether a media type is one that the API treats as binary.
func (x *call) binary(mediaType string) bool {
	t, _, _ := strings.Cut(mediaType, ";")
	t = strings.ToLower(strings.TrimSpace(t))
	for _, b := range x.rt.settings.BinaryMediaTypes {
		b = strings.ToLower(b)
		if b == "*/*" || b == t {
			return true
		}
		if major, ok := strings.CutSuffix(b, "/*"); ok && strings.HasPrefix(t, major+"/") {
			return true
		}
	}
	return false
}
