package apigatewayv2

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"

	"lambent/cloud"
	"lambent/lang/apievent"
	"lambent/lang/apiroute"
	"lambent/service"
	"lambent/trace"
)

// maxRequest is the largest body that an API takes.
const maxRequest = 10 << 20

// Has says whether there is an HTTP API of that identifier.
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
}

// Serve answers a request to a published API.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, at service.Published) {
	home, found, err := s.home(r.Context(), at.ID)
	c := at.Caller
	c.Account, c.Region, c.Via = home.Account, home.Region, "apigateway.amazonaws.com"
	x := &call{s: s, w: w, r: r, c: c}
	x.identify(at)
	switch {
	case err != nil:
		x.refuse(http.StatusInternalServerError, "Internal Server Error")
	case !found || (at.Region != "" && at.Region != home.Region):
		x.refuse(http.StatusNotFound, "Not Found")
	default:
		x.serve(at)
	}
}

// identify fills in what is known before the API is, and the header that every answer has.
func (x *call) identify(at service.Published) {
	var random [11]byte
	_, _ = rand.Read(random[:]) // never fails
	id := base64.URLEncoding.EncodeToString(random[:])
	x.ev = apievent.Request{
		API: at.ID, RequestID: id, ExtendedID: id, Time: x.c.Now,
		Account: x.c.Account, Method: x.r.Method, Protocol: x.r.Proto, Header: x.r.Header, Host: x.r.Host, RawQuery: x.r.URL.RawQuery,
		Secure: x.c.Secure, SourceIP: x.c.SourceIP,
		Trace:        trace.Amazon(x.r.Context(), x.r.Header.Get("X-Amzn-Trace-Id"), x.c.Now),
		DomainPrefix: at.ID, Domain: x.r.Host,
	}
	x.c.Trace = x.ev.Trace
	if at.PathForm {
		x.ev.Domain = at.ID + ".execute-api." + x.c.Region + "." + x.s.domain
	}
	x.w.Header().Set("Apigw-Requestid", id)
}

func (x *call) serve(at service.Published) {
	path := x.r.URL.EscapedPath()
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	stages := []string{"$default"}
	if named := apiroute.Unescape(first); named == "$default" && at.PathForm {
		path = strings.TrimPrefix(path, "/"+first) // the path form names the stage that has no name
	} else if stageName.MatchString(named) {
		stages = []string{named, "$default"}
	}
	rt, err := x.s.router(x.r.Context(), x.c, at.ID, stages...)
	if err != nil {
		x.refuse(http.StatusInternalServerError, "Internal Server Error")
		return
	}
	if rt == nil || rt.off {
		x.refuse(http.StatusNotFound, "Not Found")
		return
	}
	x.rt, x.ev.Stage, x.ev.Variables = rt, *rt.stage.StageName, rt.stage.StageVariables
	if path == "" {
		path = "/"
	}
	x.ev.Path, x.ev.FullPath = path, path
	if x.ev.Stage != "$default" {
		path = strings.TrimPrefix(path, "/"+first)
	}
	if x.preflight() || !x.find(path) || !x.readBody() {
		return
	}
	x.invoke()
}

// find chooses the route, or refuses the request.
func (x *call) find(path string) bool {
	if path == "" {
		path = "/"
	}
	use, params, ok := x.rt.routes.Find(path, x.r.Method)
	if !ok {
		use = x.rt.rest
	}
	if use == nil {
		x.refuse(http.StatusNotFound, "Not Found")
		return false
	}
	x.use, x.ev.RouteKey, x.ev.Resource = use, use.key, use.resource
	for _, p := range params {
		x.ev.Params = append(x.ev.Params, apievent.Param{Name: p.Name, Value: apiroute.Unescape(p.Value)})
	}
	if use.function == "" {
		x.refuse(http.StatusInternalServerError, "Internal Server Error") // a route without integration
		return false
	}
	if !use.bucket.take(x.c.Now) {
		x.refuse(http.StatusTooManyRequests, "Too Many Requests")
		return false
	}
	return true
}

// readBody reads the request's body, or refuses it.
func (x *call) readBody() bool {
	if x.r.Body == nil || x.r.ContentLength == 0 {
		return true
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, x.r.Body, maxRequest))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		x.refuse(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return false
	case err != nil:
		x.refuse(http.StatusBadRequest, "Bad Request")
		return false
	}
	x.ev.Body = body
	x.ev.Base64 = !apievent.TextBody(x.r.Header.Get("Content-Type"), x.r.Header.Get("Content-Encoding"), body)
	return true
}

// sourceARN names the route for the function's resource policy; parameters in the path stand as stars.
func (x *call) sourceARN() string {
	method, path, ok := strings.Cut(x.use.key, " ")
	if !ok {
		return x.c.ARNOf("execute-api", x.ev.API+"/"+x.ev.Stage+"/"+x.use.key)
	}
	if method == "ANY" {
		method = x.r.Method
	}
	return x.c.ARNOf("execute-api", x.ev.API+"/"+x.ev.Stage+"/"+method+pathParameter.ReplaceAllString(path, "*"))
}

var pathParameter = regexp.MustCompile(`\{[^}]*\}`)

// invoke calls the function and answers with what comes back.
func (x *call) invoke() {
	event, parse := x.ev.HTTPV1, apievent.ParseV1
	if x.use.v2 {
		event, parse = x.ev.V2, apievent.ParseV2
	}
	// The function goes on, as on AWS, when the time is over or the client has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), x.use.timeout)
	defer cancel()
	result, functionError, err := x.s.invoker.Invoke(ctx, x.c, x.use.function, x.sourceARN(), event(make([]byte, 0, x.ev.Size())))
	if errors.Is(err, context.DeadlineExceeded) {
		x.refuse(http.StatusServiceUnavailable, "Service Unavailable")
		return
	}
	if err != nil || functionError != "" {
		x.refuse(http.StatusInternalServerError, "Internal Server Error")
		return
	}
	answer, err := parse(result)
	if err == nil {
		err = answer.Decode()
	}
	if err != nil {
		x.refuse(http.StatusInternalServerError, "Internal Server Error")
		return
	}
	answer.Default("Content-Type", "text/plain;charset=UTF-8")
	x.addCORS(answer)
	answer.Write(x.w, apievent.DropHop)
}

// refuse answers with a message.
func (x *call) refuse(status int, message string) {
	answer := &apievent.Response{Status: status, Body: []byte(`{"message":"` + message + `"}`), Header: []apievent.Header{{Name: "Content-Type", Value: "application/json"}}}
	x.addCORS(answer)
	answer.Write(x.w, apievent.DropHop)
}
