package apigatewayv2

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"lambent/cloud"
	"lambent/lang/apievent"
)

// preflight answers a CORS preflight request for the API, if it is one and the API has CORS configured. No route is
// needed, and none is asked.
func (x *call) preflight() bool {
	cors := x.rt.cors
	if cors == nil || x.r.Method != http.MethodOptions || x.r.Header.Get("Origin") == "" || x.r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	answer := &apievent.Response{Status: http.StatusNoContent}
	if x.allowOrigin(answer) {
		add := func(name string, values []string) {
			if len(values) > 0 {
				answer.Header = append(answer.Header, apievent.Header{Name: name, Value: strings.Join(values, ",")})
			}
		}
		add("Access-Control-Allow-Methods", cors.AllowMethods)
		add("Access-Control-Allow-Headers", cors.AllowHeaders)
		add("Access-Control-Expose-Headers", cors.ExposeHeaders)
		if cors.MaxAge != nil {
			add("Access-Control-Max-Age", []string{strconv.Itoa(int(*cors.MaxAge))})
		}
	}
	answer.Write(x.w, apievent.DropHop)
	return true
}

// addCORS puts the API's CORS headers into an answer. As on AWS, those of the function do not count then.
func (x *call) addCORS(answer *apievent.Response) {
	if x.rt == nil || x.rt.cors == nil {
		return
	}
	answer.Header = slices.DeleteFunc(answer.Header, func(h apievent.Header) bool {
		return strings.HasPrefix(strings.ToLower(h.Name), "access-control-")
	})
	if x.allowOrigin(answer) && len(x.rt.cors.ExposeHeaders) > 0 {
		answer.Header = append(answer.Header, apievent.Header{Name: "Access-Control-Expose-Headers", Value: strings.Join(x.rt.cors.ExposeHeaders, ",")})
	}
}

// allowOrigin says whether the request's origin is allowed, and adds the headers that say so to the client.
func (x *call) allowOrigin(answer *apievent.Response) bool {
	origin, cors := x.r.Header.Get("Origin"), x.rt.cors
	if origin == "" {
		return false
	}
	allowed := ""
	for _, o := range cors.AllowOrigins {
		switch {
		case o == "*":
			allowed = "*"
		case strings.EqualFold(o, origin), o == "https://*" && strings.HasPrefix(origin, "https://"), o == "http://*" && strings.HasPrefix(origin, "http://"):
			allowed = origin
		}
		if allowed != "" {
			break
		}
	}
	if allowed == "" {
		return false
	}
	answer.Header = append(answer.Header, apievent.Header{Name: "Access-Control-Allow-Origin", Value: allowed})
	if allowed != "*" {
		answer.Header = append(answer.Header, apievent.Header{Name: "Vary", Value: "Origin"}) // caches must not mix origins
	}
	if cloud.Val(cors.AllowCredentials) {
		answer.Header = append(answer.Header, apievent.Header{Name: "Access-Control-Allow-Credentials", Value: "true"})
	}
	return true
}
