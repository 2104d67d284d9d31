package apigateway

import (
	"context"
	"maps"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

var verbs = []string{"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "ANY"}

func (s *Service) putMethod(ctx context.Context, c cloud.Caller, in *PutMethodInput) (*Method, error) {
	m := Method{
		HttpMethod: in.HttpMethod, AuthorizationType: in.AuthorizationType, AuthorizerId: in.AuthorizerId,
		ApiKeyRequired: new(cloud.Val(in.ApiKeyRequired)), OperationName: in.OperationName,
		RequestParameters: in.RequestParameters, RequestModels: in.RequestModels,
		RequestValidatorId: in.RequestValidatorId, AuthorizationScopes: in.AuthorizationScopes,
	}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		if _, err := s.resource(ctx, tx, c, in.RestApiId, in.ResourceId); err != nil {
			return err
		}
		if !slices.Contains(verbs, *in.HttpMethod) {
			return badRequest("Invalid HttpMethod specified. Valid options are GET,PUT,POST,DELETE,PATCH,OPTIONS,HEAD,ANY")
		}
		key := partKey(c, *in.RestApiId, "method", *in.ResourceId, *in.HttpMethod)
		have, err := tx.Get(ctx, key)
		if err != nil {
			return err
		}
		if have != nil {
			return conflict("Method already exists for this resource")
		}
		if err := s.checkMethod(ctx, tx, c, *in.RestApiId, &m); err != nil {
			return err
		}
		return kv.PutRow(tx, key, &m)
	})
	if err != nil {
		return nil, err
	}
	return &m, nil
}

// checkMethod judges a method's own settings.
func (s *Service) checkMethod(ctx context.Context, r kv.Reader, c cloud.Caller, api string, m *Method) error {
	switch cloud.Val(m.AuthorizationType) {
	case "NONE":
	case "AWS_IAM":
		return cloud.NotImplemented("Authorization of a method by IAM (authorizationType AWS_IAM)")
	case "CUSTOM", "COGNITO_USER_POOLS":
		// No authorizer can be made yet, so that none is valid.
		return badRequest("Invalid authorizer ID specified. Setting the authorization type to CUSTOM or COGNITO_USER_POOLS requires a valid authorizer.")
	default:
		return badRequest("Invalid authorization type specified: %s. Valid options are NONE,AWS_IAM,CUSTOM,COGNITO_USER_POOLS", cloud.Val(m.AuthorizationType))
	}
	if cloud.Val(m.ApiKeyRequired) {
		return cloud.NotImplemented("A method that requires an API key (apiKeyRequired)")
	}
	if m.AuthorizerId != nil || len(m.AuthorizationScopes) > 0 {
		return badRequest("Invalid authorizer ID specified")
	}
	if err := checkParameters(m.RequestParameters, "method.request", "path", "querystring", "header"); err != nil {
		return err
	}
	if id := m.RequestValidatorId; id != nil && *id != "" {
		v, err := r.Get(ctx, partKey(c, api, "validator", *id))
		if err != nil {
			return err
		}
		if v == nil {
			return badRequest("Invalid Request Validator identifier specified")
		}
	}
	return s.checkModels(ctx, r, c, api, m.RequestModels)
}

// checkParameters judges names such as method.request.header.X.
func checkParameters(params map[string]bool, prefix string, kinds ...string) error {
	names := map[string]bool{}
	for _, p := range slices.Sorted(maps.Keys(params)) {
		rest, ok := strings.CutPrefix(p, prefix+".")
		kind, name, _ := strings.Cut(rest, ".")
		kind = strings.TrimPrefix(kind, "multivalue")
		if !ok || !slices.Contains(kinds, kind) || name == "" {
			return badRequest("Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression parameter specified: %s]", p)
		}
		if names[name] {
			return badRequest("Parameter names must be unique across querystring, header and path")
		}
		names[name] = true
	}
	return nil
}

// checkModels judges the models that a request or response names.
func (s *Service) checkModels(ctx context.Context, r kv.Reader, c cloud.Caller, api string, models map[string]string) error {
	for _, contentType := range slices.Sorted(maps.Keys(models)) {
		name := models[contentType]
		m, err := r.Get(ctx, partKey(c, api, "model", name))
		if err != nil {
			return err
		}
		if m == nil {
			return badRequest("Invalid model identifier specified: %s", name)
		}
	}
	return nil
}

// method reads a method's row, or says which part of its name is wrong.
func (s *Service) method(ctx context.Context, r kv.Reader, c cloud.Caller, api, resource, verb *string) (*Method, error) {
	if _, err := s.resource(ctx, r, c, api, resource); err != nil {
		return nil, err
	}
	var m Method
	found, err := kv.GetRow(ctx, r, partKey(c, *api, "method", *resource, cloud.Val(verb)), &m)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, notFound("Invalid Method identifier specified")
	}
	return &m, nil
}

// changeMethod runs fn on a method and stores it.
func (s *Service) changeMethod(ctx context.Context, c cloud.Caller, api, resource, verb *string, fn func(tx *kv.Tx, m *Method) error) error {
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		m, err := s.method(ctx, tx, c, api, resource, verb)
		if err != nil {
			return err
		}
		if err := fn(tx, m); err != nil {
			return err
		}
		return kv.PutRow(tx, partKey(c, *api, "method", *resource, *verb), m)
	})
}

// viewMethod runs fn on a method.
func (s *Service) viewMethod(ctx context.Context, c cloud.Caller, api, resource, verb *string, fn func(m *Method) error) error {
	return s.kv.View(ctx, func(r kv.Reader) error {
		m, err := s.method(ctx, r, c, api, resource, verb)
		if err != nil {
			return err
		}
		return fn(m)
	})
}

func (s *Service) getMethod(ctx context.Context, c cloud.Caller, in *GetMethodInput) (out *Method, err error) {
	err = s.viewMethod(ctx, c, in.RestApiId, in.ResourceId, in.HttpMethod, func(m *Method) error {
		out = m
		return nil
	})
	return out, err
}

func (s *Service) updateMethod(ctx context.Context, c cloud.Caller, in *UpdateMethodInput) (out *Method, err error) {
	err = s.changeMethod(ctx, c, in.RestApiId, in.ResourceId, in.HttpMethod, func(tx *kv.Tx, m *Method) error {
		out = m
		t := target{
			"/authorizationType":   replaceStr(&m.AuthorizationType),
			"/authorizerId":        str(&m.AuthorizerId),
			"/apiKeyRequired":      boolean(&m.ApiKeyRequired),
			"/operationName":       str(&m.OperationName),
			"/requestValidatorId":  str(&m.RequestValidatorId),
			"/requestParameters/*": boolEntries(&m.RequestParameters, "Invalid parameter name specified"),
			"/requestModels/*":     entries(&m.RequestModels, "Content-Type specified was not found"),
			"/authorizationScopes": refused("authorizationScopes", off),
		}
		if err := t.apply(in.PatchOperations); err != nil {
			return err
		}
		return s.checkMethod(ctx, tx, c, *in.RestApiId, m)
	})
	return out, err
}

func (s *Service) deleteMethod(ctx context.Context, c cloud.Caller, in *DeleteMethodInput) (*DeleteMethodOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		if _, err := s.method(ctx, tx, c, in.RestApiId, in.ResourceId, in.HttpMethod); err != nil {
			return err
		}
		tx.Delete(partKey(c, *in.RestApiId, "method", *in.ResourceId, *in.HttpMethod))
		return nil
	})
	return &DeleteMethodOutput{}, err
}

const noStatus = "Invalid Response status code specified"

func (s *Service) putMethodResponse(ctx context.Context, c cloud.Caller, in *PutMethodResponseInput) (*MethodResponse, error) {
	r := MethodResponse{StatusCode: in.StatusCode, ResponseParameters: in.ResponseParameters, ResponseModels: in.ResponseModels}
	err := s.changeMethod(ctx, c, in.RestApiId, in.ResourceId, in.HttpMethod, func(tx *kv.Tx, m *Method) error {
		if _, have := m.MethodResponses[*in.StatusCode]; have {
			return conflict("Response already exists for this resource")
		}
		if err := s.checkMethodResponse(ctx, tx, c, *in.RestApiId, &r); err != nil {
			return err
		}
		if m.MethodResponses == nil {
			m.MethodResponses = map[string]MethodResponse{}
		}
		m.MethodResponses[*in.StatusCode] = r
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &r, nil
}

func (s *Service) checkMethodResponse(ctx context.Context, r kv.Reader, c cloud.Caller, api string, m *MethodResponse) error {
	if err := checkParameters(m.ResponseParameters, "method.response", "header"); err != nil {
		return err
	}
	return s.checkModels(ctx, r, c, api, m.ResponseModels)
}

func (s *Service) getMethodResponse(ctx context.Context, c cloud.Caller, in *GetMethodResponseInput) (*MethodResponse, error) {
	var out MethodResponse
	err := s.viewMethod(ctx, c, in.RestApiId, in.ResourceId, in.HttpMethod, func(m *Method) error {
		r, ok := m.MethodResponses[*in.StatusCode]
		if !ok {
			return notFound("%s", noStatus)
		}
		out = r
		return nil
	})
	return &out, err
}

func (s *Service) updateMethodResponse(ctx context.Context, c cloud.Caller, in *UpdateMethodResponseInput) (*MethodResponse, error) {
	var out MethodResponse
	err := s.changeMethod(ctx, c, in.RestApiId, in.ResourceId, in.HttpMethod, func(tx *kv.Tx, m *Method) error {
		r, ok := m.MethodResponses[*in.StatusCode]
		if !ok {
			return notFound("%s", noStatus)
		}
		t := target{
			"/responseParameters/*": boolEntries(&r.ResponseParameters, "Invalid parameter name specified"),
			"/responseModels/*":     entries(&r.ResponseModels, "Content-Type specified was not found"),
		}
		if err := t.apply(in.PatchOperations); err != nil {
			return err
		}
		if err := s.checkMethodResponse(ctx, tx, c, *in.RestApiId, &r); err != nil {
			return err
		}
		m.MethodResponses[*in.StatusCode] = r
		out = r
		return nil
	})
	return &out, err
}

func (s *Service) deleteMethodResponse(ctx context.Context, c cloud.Caller, in *DeleteMethodResponseInput) (*DeleteMethodResponseOutput, error) {
	err := s.changeMethod(ctx, c, in.RestApiId, in.ResourceId, in.HttpMethod, func(_ *kv.Tx, m *Method) error {
		if _, ok := m.MethodResponses[*in.StatusCode]; !ok {
			return notFound("%s", noStatus)
		}
		delete(m.MethodResponses, *in.StatusCode)
		return nil
	})
	return &DeleteMethodResponseOutput{}, err
}
