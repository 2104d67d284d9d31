package apigateway

import (
	"context"
	"maps"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

// A gatewayError is a kind of refusal that the gateway itself answers.
type gatewayError struct {
	kind    string // responseType
	status  int
	message string
	name    string // x-amzn-ErrorType
	spaced  bool   // AWS writes a blank behind the colon of some bodies
}

// The refusals that are made here.
var (
	errForbidden  = gatewayError{"ACCESS_DENIED", 403, "Forbidden", "ForbiddenException", false}
	errNoRoute    = gatewayError{"MISSING_AUTHENTICATION_TOKEN", 403, "Missing Authentication Token", "MissingAuthenticationTokenException", false}
	errTooLarge   = gatewayError{"REQUEST_TOO_LARGE", 413, "HTTP content length exceeded 10485760 bytes.", "RequestTooLargeException", false}
	errMediaType  = gatewayError{"UNSUPPORTED_MEDIA_TYPE", 415, "Unsupported Media Type", "UnsupportedMediaTypeException", false}
	errThrottled  = gatewayError{"THROTTLED", 429, "Too Many Requests", "TooManyRequestsException", false}
	errTimeout    = gatewayError{"INTEGRATION_TIMEOUT", 504, "Endpoint request timed out", "InternalServerErrorException", true}
	errFunction   = gatewayError{"DEFAULT_5XX", 502, "Internal server error", "InternalServerErrorException", true}
	errConfigured = gatewayError{"API_CONFIGURATION_ERROR", 500, "Internal server error", "InternalServerErrorException", true}
	errBadBody    = gatewayError{"BAD_REQUEST_BODY", 400, "Invalid request body", "BadRequestException", true}
	errBadParams  = gatewayError{"BAD_REQUEST_PARAMETERS", 400, "", "BadRequestException", true}
)

// responseStatus has the types of gateway responses, with the status that each has by default.
var responseStatus = map[string]string{
	"ACCESS_DENIED": "403", "API_CONFIGURATION_ERROR": "500", "AUTHORIZER_CONFIGURATION_ERROR": "500", "AUTHORIZER_FAILURE": "500",
	"BAD_REQUEST_BODY": "400", "BAD_REQUEST_PARAMETERS": "400", "DEFAULT_4XX": "", "DEFAULT_5XX": "", "EXPIRED_TOKEN": "403",
	"INTEGRATION_FAILURE": "504", "INTEGRATION_TIMEOUT": "504", "INVALID_API_KEY": "403", "INVALID_SIGNATURE": "403",
	"MISSING_AUTHENTICATION_TOKEN": "403", "QUOTA_EXCEEDED": "429", "REQUEST_TOO_LARGE": "413", "RESOURCE_NOT_FOUND": "404",
	"THROTTLED": "429", "UNAUTHORIZED": "401", "UNSUPPORTED_MEDIA_TYPE": "415", "WAF_FILTERED": "403",
}

const defaultTemplate = `{"message":$context.error.messageString}`

func defaultResponse(kind string) GatewayResponse {
	r := GatewayResponse{
		ResponseType: &kind, DefaultResponse: new(true), ResponseParameters: map[string]string{},
		ResponseTemplates: map[string]string{"application/json": defaultTemplate},
	}
	if status := responseStatus[kind]; status != "" {
		r.StatusCode = &status
	}
	return r
}

func (s *Service) putGatewayResponse(ctx context.Context, c cloud.Caller, in *PutGatewayResponseInput) (*GatewayResponse, error) {
	r := defaultResponse(*in.ResponseType)
	r.DefaultResponse = new(false)
	if in.StatusCode != nil {
		r.StatusCode = in.StatusCode
	}
	if in.ResponseParameters != nil {
		r.ResponseParameters = in.ResponseParameters
	}
	if len(in.ResponseTemplates) > 0 {
		r.ResponseTemplates = in.ResponseTemplates
	}
	if err := checkGatewayResponse(&r); err != nil {
		return nil, err
	}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		if _, err := s.api(ctx, tx, c, in.RestApiId); err != nil {
			return err
		}
		return kv.PutRow(tx, partKey(c, *in.RestApiId, "response", *r.ResponseType), &r)
	})
	if err != nil {
		return nil, err
	}
	return &r, nil
}

func checkGatewayResponse(r *GatewayResponse) error {
	for _, name := range slices.Sorted(maps.Keys(r.ResponseParameters)) {
		value := r.ResponseParameters[name]
		if value == "" {
			return badRequest("Invalid null or empty value in responseParameters")
		}
		if !strings.HasPrefix(name, "gatewayresponse.header.") || !validGatewayMapping(value) {
			return badRequest("Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression parameter specified: %s]", name)
		}
	}
	for _, t := range r.ResponseTemplates {
		if t == "" {
			return badRequest("Invalid null or empty value in responseTemplates")
		}
	}
	return nil
}

func (s *Service) gatewayResponse(ctx context.Context, r kv.Reader, c cloud.Caller, api *string, kind string) (*GatewayResponse, error) {
	if _, err := s.api(ctx, r, c, api); err != nil {
		return nil, err
	}
	out := defaultResponse(kind)
	_, err := kv.GetRow(ctx, r, partKey(c, *api, "response", kind), &out)
	return &out, err
}

func (s *Service) getGatewayResponse(ctx context.Context, c cloud.Caller, in *GetGatewayResponseInput) (out *GatewayResponse, err error) {
	err = s.kv.View(ctx, func(r kv.Reader) error {
		out, err = s.gatewayResponse(ctx, r, c, in.RestApiId, *in.ResponseType)
		return err
	})
	return out, err
}

func (s *Service) getGatewayResponses(ctx context.Context, c cloud.Caller, in *GetGatewayResponsesInput) (*GatewayResponses, error) {
	out := &GatewayResponses{}
	err := s.kv.View(ctx, func(r kv.Reader) error {
		if _, err := s.api(ctx, r, c, in.RestApiId); err != nil {
			return err
		}
		own, err := scan[GatewayResponse](ctx, r, partRange(c, *in.RestApiId, "response"))
		if err != nil {
			return err
		}
		out.Items = nil
		for _, kind := range slices.Sorted(maps.Keys(responseStatus)) {
			item := defaultResponse(kind)
			if i := slices.IndexFunc(own, func(o GatewayResponse) bool { return *o.ResponseType == kind }); i >= 0 {
				item = own[i]
			}
			out.Items = append(out.Items, item)
		}
		return nil
	})
	return out, err
}

func (s *Service) updateGatewayResponse(ctx context.Context, c cloud.Caller, in *UpdateGatewayResponseInput) (out *GatewayResponse, err error) {
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		r, err := s.gatewayResponse(ctx, tx, c, in.RestApiId, *in.ResponseType)
		if err != nil {
			return err
		}
		out = r
		t := target{
			"/statusCode":           replaceStr(&r.StatusCode),
			"/responseParameters/*": gatewayEntry(&r.ResponseParameters, "responseParameters"),
			"/responseTemplates/*":  gatewayEntry(&r.ResponseTemplates, "responseTemplates"),
		}
		if err := t.apply(in.PatchOperations); err != nil {
			return err
		}
		r.DefaultResponse = new(false)
		if err := checkGatewayResponse(r); err != nil {
			return err
		}
		return kv.PutRow(tx, partKey(c, *in.RestApiId, "response", *r.ResponseType), r)
	})
	return out, err
}

func gatewayEntry(at *map[string]string, what string) setter {
	return func(p patch) error {
		if p.op != "remove" && cloud.Val(p.value) == "" {
			return badRequest("Invalid null or empty value in %s", what)
		}
		if err := setEntry(at, p, "Invalid parameter name specified", cloud.Val(p.value)); err != nil {
			return err
		}
		if *at == nil {
			*at = map[string]string{}
		}
		return nil
	}
}

func (s *Service) deleteGatewayResponse(ctx context.Context, c cloud.Caller, in *DeleteGatewayResponseInput) (*DeleteGatewayResponseOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		r, err := s.gatewayResponse(ctx, tx, c, in.RestApiId, *in.ResponseType)
		if err != nil {
			return err
		}
		if *r.DefaultResponse {
			return notFound("Gateway response type not defined on api")
		}
		tx.Delete(partKey(c, *in.RestApiId, "response", *r.ResponseType))
		return nil
	})
	return &DeleteGatewayResponseOutput{}, err
}
