package apigatewayv2

import (
	"context"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

func newIntegration() Integration {
	return Integration{IntegrationId: new(newID(7)), ConnectionType: new("INTERNET"), PayloadFormatVersion: new("1.0"), TimeoutInMillis: new(int32(30000))}
}

// checkIntegration judges an integration, and refuses what is not served.
func checkIntegration(i *Integration) error {
	switch t := cloud.Val(i.IntegrationType); t {
	case "AWS_PROXY":
	case "HTTP_PROXY":
		return cloud.NotImplemented("An integration of type HTTP_PROXY")
	default:
		return badRequest("Integration type %s is not supported for HTTP APIs", t)
	}
	switch {
	case cloud.Val(i.IntegrationSubtype) != "":
		return cloud.NotImplemented("An integration with an AWS service (integrationSubtype)")
	case cloud.Val(i.ConnectionType) != "INTERNET" || i.ConnectionId != nil:
		return cloud.NotImplemented("An integration over a VPC link")
	case i.CredentialsArn != nil:
		return cloud.NotImplemented("An integration with credentials of its own")
	case len(i.RequestParameters) > 0 || len(i.ResponseParameters) > 0:
		return cloud.NotImplemented("Parameter mapping of an integration")
	case i.ContentHandlingStrategy != nil || i.PassthroughBehavior != nil || len(i.RequestTemplates) > 0 || i.TemplateSelectionExpression != nil:
		return badRequest("Content handling, passthrough behavior and templates are only supported for WebSocket APIs")
	case i.TlsConfig != nil:
		return badRequest("TlsConfig is only supported for private integrations")
	}
	if v := *i.PayloadFormatVersion; v != "1.0" && v != "2.0" {
		return badRequest("Invalid PayloadFormatVersion specified: %s. Must be one of 1.0, 2.0", v)
	}
	if functionOf(cloud.Val(i.IntegrationUri)) == "" {
		return badRequest("Invalid Lambda function ARN or invocation URI specified for integrationUri: %s", cloud.Val(i.IntegrationUri))
	}
	if i.IntegrationMethod == nil {
		i.IntegrationMethod = new("POST")
	}
	return nil
}

// functionOf takes the function's ARN out of an integration's URI, which is that ARN or that of its invocation; "" when
// it is neither. Stage variables may stand in it.
func functionOf(uri string) string {
	if _, path, ok := strings.Cut(uri, ":lambda:path/"); ok {
		_, path, _ = strings.Cut(path, "/functions/")
		arn, _ := strings.CutSuffix(path, "/invocations")
		return arn
	}
	a, ok := cloud.ParseARN(uri)
	if ok && a.Service == "lambda" && strings.HasPrefix(a.Resource, "function:") {
		return uri
	}
	return ""
}

func (s *Service) createIntegration(ctx context.Context, c cloud.Caller, in *CreateIntegrationInput) (*CreateIntegrationOutput, error) {
	if in.TlsConfig != nil {
		return nil, badRequest("TlsConfig is only supported for private integrations")
	}
	i := newIntegration()
	overlay(&i, in)
	if err := checkIntegration(&i); err != nil {
		return nil, err
	}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		if _, err := s.api(ctx, tx, c, in.ApiId); err != nil {
			return err
		}
		return kv.PutRow(tx, partKey(c, *in.ApiId, "integration", *i.IntegrationId), &i) // nothing routes to it yet
	})
	if err != nil {
		return nil, err
	}
	return overlay(new(CreateIntegrationOutput), &i), nil
}

func (s *Service) getIntegration(ctx context.Context, c cloud.Caller, in *GetIntegrationInput) (*GetIntegrationOutput, error) {
	return view[GetIntegrationOutput, Integration](ctx, s, c, in.ApiId, in.IntegrationId, "integration", "Integration")
}

func (s *Service) getIntegrations(ctx context.Context, c cloud.Caller, in *GetIntegrationsInput) (*GetIntegrationsOutput, error) {
	items, next, err := parts(ctx, s, c, in.ApiId, "integration", func(i *Integration) string { return *i.IntegrationId }, in.MaxResults, in.NextToken)
	return &GetIntegrationsOutput{Items: items, NextToken: next}, err
}

func (s *Service) updateIntegration(ctx context.Context, c cloud.Caller, in *UpdateIntegrationInput) (*UpdateIntegrationOutput, error) {
	if in.TlsConfig != nil {
		return nil, badRequest("TlsConfig is only supported for private integrations")
	}
	var out *Integration
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		i, err := part[Integration](ctx, s, tx, c, in.ApiId, in.IntegrationId, "integration", "Integration")
		if err != nil {
			return err
		}
		out = overlay(i, in)
		if err := checkIntegration(i); err != nil {
			return err
		}
		if err := kv.PutRow(tx, partKey(c, *in.ApiId, "integration", *in.IntegrationId), i); err != nil {
			return err
		}
		return s.autoDeploy(ctx, tx, c, *in.ApiId)
	})
	if err != nil {
		return nil, err
	}
	return overlay(new(UpdateIntegrationOutput), out), nil
}

func (s *Service) deleteIntegration(ctx context.Context, c cloud.Caller, in *DeleteIntegrationInput) (*DeleteIntegrationOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		if _, err := part[Integration](ctx, s, tx, c, in.ApiId, in.IntegrationId, "integration", "Integration"); err != nil {
			return err
		}
		routes, err := scan[Route](ctx, tx, partRange(c, *in.ApiId, "route"))
		if err != nil {
			return err
		}
		for _, r := range routes {
			if cloud.Val(r.Target) == "integrations/"+*in.IntegrationId {
				return conflict("Cannot delete Integration '%s'. Integration is referenced by Route '%s'.", *in.IntegrationId, *r.RouteKey)
			}
		}
		tx.Delete(partKey(c, *in.ApiId, "integration", *in.IntegrationId))
		return nil
	})
	return &DeleteIntegrationOutput{}, err
}
