package apigateway

import (
	"context"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/vtl"
)

const maxTimeout = 29000 // milliseconds

func (s *Service) putIntegration(ctx context.Context, c cloud.Caller, in *PutIntegrationInput) (out *Integration, err error) {
	err = s.changeMethod(ctx, c, in.RestApiId, in.ResourceId, in.HttpMethod, func(_ *kv.Tx, m *Method) error {
		out = &Integration{
			Type: in.Type, HttpMethod: in.IntegrationHttpMethod, Uri: in.Uri,
			ConnectionType: in.ConnectionType, ConnectionId: in.ConnectionId, Credentials: in.Credentials,
			RequestParameters: in.RequestParameters, RequestTemplates: in.RequestTemplates,
			PassthroughBehavior: new(cloud.Or(in.PassthroughBehavior, "WHEN_NO_MATCH")),
			ContentHandling:     in.ContentHandling,
			TimeoutInMillis:     new(cloud.Or(in.TimeoutInMillis, maxTimeout)),
			CacheNamespace:      new(cloud.Or(in.CacheNamespace, *in.ResourceId)),
			CacheKeyParameters:  append([]string{}, in.CacheKeyParameters...),
			TlsConfig:           in.TlsConfig,

			ResponseTransferMode: in.ResponseTransferMode, IntegrationTarget: in.IntegrationTarget,
		}
		if err := checkIntegration(out); err != nil {
			return err
		}
		m.MethodIntegration = out
		return nil
	})
	return out, err
}

// checkIntegration judges an integration: first AWS's rules, then what is not done here.
func checkIntegration(i *Integration) error {
	if *i.Type != "MOCK" && cloud.Val(i.HttpMethod) == "" {
		return badRequest("Enumeration value for HttpMethod must be non-empty")
	}
	if t := *i.TimeoutInMillis; t < 50 || t > maxTimeout {
		return badRequest("Timeout should be between 50 ms and 29000 ms")
	}
	if !slices.Contains([]string{"WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER"}, *i.PassthroughBehavior) {
		return badRequest("Invalid passthrough behavior specified: %s", *i.PassthroughBehavior)
	}
	switch *i.Type {
	case "HTTP", "HTTP_PROXY":
		u, err := url.Parse(cloud.Val(i.Uri))
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return badRequest("Invalid HTTP endpoint specified for URI")
		}
		return cloud.NotImplemented("An integration of type " + *i.Type)
	case "AWS", "AWS_PROXY":
		if err := checkTarget(i); err != nil {
			return err
		}
	}
	if err := checkTemplates(i.RequestTemplates); err != nil {
		return err
	}
	return checkDone(i)
}

// checkTarget judges the URI of an AWS integration.
func checkTarget(i *Integration) error {
	uri := cloud.Val(i.Uri)
	a, ok := cloud.ParseARN(uri)
	if !ok || a.Service != "apigateway" {
		if ok && *i.Type == "AWS_PROXY" && a.Service != "lambda" {
			return badRequest("Invalid ARN specified in the request")
		}
		if ok {
			return badRequest("AWS ARN for integration must contain path or action")
		}
		return badRequest("Invalid ARN specified in the request")
	}
	kind, _, hasKind := strings.Cut(a.Resource, "/")
	if !hasKind || (kind != "path" && kind != "action") {
		return badRequest("AWS ARN for integration must contain path or action")
	}
	if a.Account == "lambda" {
		if _, ok := functionOf(uri); ok {
			return nil
		}
	}
	if *i.Type == "AWS_PROXY" && a.Account != "firehose" {
		return badRequest("Integrations of type 'AWS_PROXY' currently only supports Lambda function and Firehose stream invocations.")
	}
	return cloud.NotImplemented("An integration with " + a.Account)
}

// functionOf takes the function's ARN out of an integration URI,
// arn:aws:apigateway:REGION:lambda:path/2015-03-31/functions/ARN/invocations.
func functionOf(uri string) (string, bool) {
	_, path, ok := strings.Cut(uri, ":lambda:path/")
	if !ok {
		return "", false
	}
	_, path, ok = strings.Cut(path, "/functions/")
	if !ok {
		return "", false
	}
	arn, ok := strings.CutSuffix(path, "/invocations")
	return arn, ok && arn != ""
}

// checkDone refuses what AWS would do with an integration and this does not.
func checkDone(i *Integration) error {
	switch {
	case cloud.Or(i.ConnectionType, "INTERNET") != "INTERNET" || cloud.Val(i.ConnectionId) != "":
		return cloud.NotImplemented("An integration over a VPC link")
	case cloud.Val(i.Credentials) != "":
		return cloud.NotImplemented("An integration with credentials of its own")
	case len(i.CacheKeyParameters) > 0:
		return cloud.NotImplemented("Caching (cacheKeyParameters)")
	case i.TlsConfig != nil && cloud.Val(i.TlsConfig.InsecureSkipVerification):
		return cloud.NotImplemented("tlsConfig")
	case cloud.Or(i.ResponseTransferMode, "BUFFERED") != "BUFFERED":
		return cloud.NotImplemented("Response streaming (responseTransferMode STREAM)")
	case cloud.Val(i.IntegrationTarget) != "":
		return cloud.NotImplemented("integrationTarget")
	}
	for name, value := range i.RequestParameters {
		if strings.EqualFold(name, "integration.request.header.X-Amz-Invocation-Type") && value != "'RequestResponse'" {
			return cloud.NotImplemented("Asynchronous invocation by X-Amz-Invocation-Type")
		}
	}
	return nil
}

// checkTemplates parses mapping templates, so that a broken one is refused before it is deployed.
func checkTemplates(templates map[string]string) error {
	for _, contentType := range slices.Sorted(maps.Keys(templates)) {
		if !strings.Contains(contentType, "/") && contentType != "$default" {
			return badRequest("Validation Result: warnings : [], errors : [Invalid content type specified: %s]", contentType)
		}
		if _, err := vtl.Parse(templates[contentType]); err != nil {
			return badRequest("Invalid mapping template specified for content type %s: %s", contentType, err)
		}
	}
	return nil
}

// integration returns a method's integration.
func integration(m *Method) (*Integration, error) {
	if m.MethodIntegration == nil {
		return nil, notFound("Invalid Integration identifier specified")
	}
	return m.MethodIntegration, nil
}

func (s *Service) getIntegration(ctx context.Context, c cloud.Caller, in *GetIntegrationInput) (out *Integration, err error) {
	err = s.viewMethod(ctx, c, in.RestApiId, in.ResourceId, in.HttpMethod, func(m *Method) error {
		out, err = integration(m)
		return err
	})
	return out, err
}

func (s *Service) updateIntegration(ctx context.Context, c cloud.Caller, in *UpdateIntegrationInput) (out *Integration, err error) {
	err = s.changeMethod(ctx, c, in.RestApiId, in.ResourceId, in.HttpMethod, func(_ *kv.Tx, m *Method) error {
		i, err := integration(m)
		if err != nil {
			return err
		}
		out = i
		t := target{
			"/type":                 replaceStr(&i.Type),
			"/uri":                  replaceStr(&i.Uri),
			"/httpMethod":           replaceStr(&i.HttpMethod),
			"/passthroughBehavior":  replaceStr(&i.PassthroughBehavior),
			"/contentHandling":      str(&i.ContentHandling),
			"/credentials":          str(&i.Credentials),
			"/connectionType":       str(&i.ConnectionType),
			"/connectionId":         str(&i.ConnectionId),
			"/cacheNamespace":       str(&i.CacheNamespace),
			"/timeoutInMillis":      integer(&i.TimeoutInMillis),
			"/requestTemplates/*":   entries(&i.RequestTemplates, "Invalid mapping template specified"),
			"/requestParameters/*":  entries(&i.RequestParameters, "Invalid parameter name specified"),
			"/cacheKeyParameters/*": func(p patch) error { return patchList(&i.CacheKeyParameters, p) },
		}
		if err := t.apply(in.PatchOperations); err != nil {
			return err
		}
		if i.TimeoutInMillis == nil {
			i.TimeoutInMillis = new(int32(maxTimeout))
		}
		return checkIntegration(i)
	})
	return out, err
}

func (s *Service) deleteIntegration(ctx context.Context, c cloud.Caller, in *DeleteIntegrationInput) (*DeleteIntegrationOutput, error) {
	err := s.changeMethod(ctx, c, in.RestApiId, in.ResourceId, in.HttpMethod, func(_ *kv.Tx, m *Method) error {
		if _, err := integration(m); err != nil {
			return err
		}
		m.MethodIntegration = nil
		return nil
	})
	return &DeleteIntegrationOutput{}, err
}

func (s *Service) putIntegrationResponse(ctx context.Context, c cloud.Caller, in *PutIntegrationResponseInput) (*IntegrationResponse, error) {
	r := IntegrationResponse{
		StatusCode: in.StatusCode, SelectionPattern: in.SelectionPattern, ResponseParameters: in.ResponseParameters,
		ResponseTemplates: in.ResponseTemplates, ContentHandling: in.ContentHandling,
	}
	err := s.changeMethod(ctx, c, in.RestApiId, in.ResourceId, in.HttpMethod, func(_ *kv.Tx, m *Method) error {
		i, err := integration(m)
		if err != nil {
			return err
		}
		if err := checkIntegrationResponse(m, &r); err != nil {
			return err
		}
		if i.IntegrationResponses == nil {
			i.IntegrationResponses = map[string]IntegrationResponse{}
		}
		i.IntegrationResponses[*in.StatusCode] = r
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// checkIntegrationResponse judges a response against the method's: a header must be declared there.
func checkIntegrationResponse(m *Method, r *IntegrationResponse) error {
	if err := checkTemplates(r.ResponseTemplates); err != nil {
		return err
	}
	declared := m.MethodResponses[*r.StatusCode].ResponseParameters
	for _, name := range slices.Sorted(maps.Keys(r.ResponseParameters)) {
		if _, ok := declared[name]; !ok {
			return badRequest("Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression parameter specified: %s]", name)
		}
		if !validMapping(r.ResponseParameters[name]) {
			return badRequest("Invalid mapping expression specified: Validation Result: warnings : [], errors : [Invalid mapping expression specified: %s]", r.ResponseParameters[name])
		}
	}
	if p := cloud.Val(r.SelectionPattern); p != "" {
		if _, err := regexp.Compile(p); err != nil {
			return cloud.NotImplemented("The selection pattern " + p + " (" + err.Error() + ")")
		}
	}
	return nil
}

func (s *Service) getIntegrationResponse(ctx context.Context, c cloud.Caller, in *GetIntegrationResponseInput) (*IntegrationResponse, error) {
	var out IntegrationResponse
	err := s.viewMethod(ctx, c, in.RestApiId, in.ResourceId, in.HttpMethod, func(m *Method) error {
		i, err := integration(m)
		if err != nil {
			return err
		}
		r, ok := i.IntegrationResponses[*in.StatusCode]
		if !ok {
			return notFound("%s", noStatus)
		}
		out = r
		return nil
	})
	return &out, err
}

func (s *Service) updateIntegrationResponse(ctx context.Context, c cloud.Caller, in *UpdateIntegrationResponseInput) (*IntegrationResponse, error) {
	var out IntegrationResponse
	err := s.changeMethod(ctx, c, in.RestApiId, in.ResourceId, in.HttpMethod, func(_ *kv.Tx, m *Method) error {
		i, err := integration(m)
		if err != nil {
			return err
		}
		r, ok := i.IntegrationResponses[*in.StatusCode]
		if !ok {
			return notFound("%s", noStatus)
		}
		t := target{
			"/selectionPattern":     str(&r.SelectionPattern),
			"/contentHandling":      str(&r.ContentHandling),
			"/responseParameters/*": entries(&r.ResponseParameters, "Invalid parameter name specified"),
			"/responseTemplates/*":  entries(&r.ResponseTemplates, "Invalid mapping template specified"),
		}
		if err := t.apply(in.PatchOperations); err != nil {
			return err
		}
		if err := checkIntegrationResponse(m, &r); err != nil {
			return err
		}
		i.IntegrationResponses[*in.StatusCode] = r
		out = r
		return nil
	})
	return &out, err
}

func (s *Service) deleteIntegrationResponse(ctx context.Context, c cloud.Caller, in *DeleteIntegrationResponseInput) (*DeleteIntegrationResponseOutput, error) {
	err := s.changeMethod(ctx, c, in.RestApiId, in.ResourceId, in.HttpMethod, func(_ *kv.Tx, m *Method) error {
		i, err := integration(m)
		if err != nil {
			return err
		}
		if _, ok := i.IntegrationResponses[*in.StatusCode]; !ok {
			return notFound("%s", noStatus)
		}
		delete(i.IntegrationResponses, *in.StatusCode)
		if len(i.IntegrationResponses) == 0 {
			i.IntegrationResponses = nil
		}
		return nil
	})
	return &DeleteIntegrationResponseOutput{}, err
}
