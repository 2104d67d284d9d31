package cloudformation

import (
	"maps"

	"lambent/cloud"
	"lambent/lang/cfn"
)

func apiGatewayV2Types() []*resourceType {
	return []*resourceType{httpAPI(), httpStage(), httpIntegration(), httpRoute(), httpDeployment()}
}

// ofAPI is the input that names an HTTP API.
func ofAPI(w *work) map[string]any { return w.in("ApiId") }

// member makes the functions of a type whose things belong to an API and have ids of their own.
func httpMember(t *resourceType, noun, idMember string, match func(w *work, item any) bool, defaults map[string]any, properties ...string) *resourceType {
	t.Service = "apigatewayv2"
	t.Before, t.Find = listing("Get"+noun+"s", func(w *work) map[string]any {
		in := ofAPI(w)
		in["MaxResults"] = "500"
		return in
	}, "Items", idMember, match)
	t.Create = func(w *work) error {
		if w.ID != "" { // found: an earlier attempt got so far
			w.Attributes[idMember] = w.ID
			return nil
		}
		in := ofAPI(w)
		maps.Copy(in, w.in(properties...))
		out, err := w.call("Create"+noun, in)
		if err != nil {
			return err
		}
		w.ID = str(out, idMember)
		w.Attributes[idMember] = w.ID
		return nil
	}
	t.Update = func(w *work) error {
		in := w.settings(defaults, properties...)
		maps.Copy(in, ofAPI(w))
		in[idMember] = w.ID
		_, err := w.call("Update"+noun, in)
		return err
	}
	t.Delete = func(w *work) error {
		in := ofAPI(w)
		in[idMember] = w.ID
		_, err := w.call("Delete"+noun, in)
		return err
	}
	return t
}

func httpAPI() *resourceType {
	settings := []string{"Name", "Description", "DisableExecuteApiEndpoint", "RouteSelectionExpression", "Version",
		"CorsConfiguration", "ApiKeySelectionExpression", "DisableSchemaValidation", "IpAddressType"}
	before, find := listing("GetApis", func(w *work) map[string]any { return map[string]any{"MaxResults": "500"} }, "Items", "ApiId",
		func(w *work, item any) bool { return str(item, "Name") == w.text("Name") })
	return &resourceType{
		Name: "AWS::ApiGatewayV2::Api", Service: "apigatewayv2", Stamped: true,
		Schema: `Name ProtocolType@new Description DisableExecuteApiEndpoint:bool RouteSelectionExpression Version Target RouteKey
			CredentialsArn ApiKeySelectionExpression DisableSchemaValidation:bool FailOnWarnings:absent IpAddressType Body:absent BodyS3Location:absent BasePath:absent
			CorsConfiguration:{AllowCredentials:bool AllowHeaders:[string] AllowMethods:[string] AllowOrigins:[string] ExposeHeaders:[string] MaxAge:int}
			Tags:map`,
		Attributes: []string{"ApiEndpoint", "ApiId", "ExecuteApiArn"},
		Before:     before,
		Find:       find,
		Create: func(w *work) error {
			if w.ID == "" {
				in := w.in(append(settings, "ProtocolType", "Target", "RouteKey", "CredentialsArn", "Tags")...)
				out, err := w.call("CreateApi", in)
				if err != nil {
					return err
				}
				w.ID = str(out, "ApiId")
			}
			out, err := w.call("GetApi", map[string]any{"ApiId": w.ID})
			w.Attributes["ApiId"], w.Attributes["ApiEndpoint"] = w.ID, str(out, "ApiEndpoint")
			w.Attributes["ExecuteApiArn"] = "arn:aws:execute-api:" + w.Region + ":" + w.Account + ":" + w.ID
			return err
		},
		Update: func(w *work) error {
			for _, p := range []string{"Target", "RouteKey", "CredentialsArn"} {
				if w.changed(p) && w.Old != nil {
					return cloud.NotImplemented("Update of " + p + " of AWS::ApiGatewayV2::Api")
				}
			}
			in := w.settings(map[string]any{"Description": "", "Version": "", "DisableExecuteApiEndpoint": false, "IpAddressType": "ipv4",
				"RouteSelectionExpression": "$request.method $request.path", "ApiKeySelectionExpression": "$request.header.x-api-key"}, settings...)
			if w.Old["CorsConfiguration"] != nil && w.Props["CorsConfiguration"] == nil {
				if _, err := w.call("DeleteCorsConfiguration", map[string]any{"ApiId": w.ID}); gone(err) != nil {
					return err
				}
			}
			if len(in) > 0 {
				in["ApiId"] = w.ID
				if _, err := w.call("UpdateApi", in); err != nil {
					return err
				}
			}
			return w.retag("TagResource", "UntagResource", map[string]any{"ResourceArn": "arn:aws:apigateway:" + w.Region + "::/apis/" + w.ID}, "Tags", "TagKeys")
		},
		Delete: func(w *work) error {
			_, err := w.call("DeleteApi", map[string]any{"ApiId": w.ID})
			return err
		},
	}
}

func httpStage() *resourceType {
	settings := []string{"AutoDeploy", "Description", "DeploymentId", "DefaultRouteSettings", "RouteSettings", "StageVariables",
		"AccessLogSettings", "ClientCertificateId"}
	name := func(w *work) map[string]any { return w.in("ApiId", "StageName") }
	const route = `{DataTraceEnabled:bool DetailedMetricsEnabled:bool LoggingLevel ThrottlingBurstLimit:int ThrottlingRateLimit:num}`
	return &resourceType{
		Name: "AWS::ApiGatewayV2::Stage", Service: "apigatewayv2", Stamped: true,
		Schema: `ApiId!@new StageName!@new AutoDeploy:bool Description DeploymentId ClientCertificateId StageVariables:map
			DefaultRouteSettings:` + route + ` RouteSettings:map(` + route + `) AccessLogSettings:{DestinationArn Format} AccessPolicyId:absent Tags:map`,
		ID: func(w *work) string { return w.text("StageName") },
		Create: func(w *work) error {
			in := w.in(append(settings, "Tags")...)
			maps.Copy(in, name(w))
			if _, err := w.make("CreateStage", in); err != nil {
				return err
			}
			w.ID = w.text("StageName")
			return nil
		},
		Update: func(w *work) error {
			in := w.settings(map[string]any{"Description": "", "StageVariables": map[string]any{}, "AutoDeploy": false,
				"DefaultRouteSettings": map[string]any{"DetailedMetricsEnabled": false}, "AccessLogSettings": map[string]any{}}, settings...)
			// The end of automatic deployments leaves the last one, unless something else is said.
			if w.changed("AutoDeploy") && w.Props["AutoDeploy"] != true {
				maps.Copy(in, w.in("DeploymentId"))
			}
			// An update of a stage only adds: a variable goes by becoming empty, a route's settings by a call of their own.
			if variables, ok := in["StageVariables"].(map[string]any); ok {
				in["StageVariables"] = emptied(variables, w.Old["StageVariables"])
			}
			if err := dropRouteSettings(w, name(w)); err != nil {
				return err
			}
			if len(in) > 0 {
				maps.Copy(in, name(w))
				if _, err := w.call("UpdateStage", in); err != nil {
					return err
				}
			}
			return w.retag("TagResource", "UntagResource", map[string]any{"ResourceArn": "arn:aws:apigateway:" + w.Region + "::/apis/" +
				w.text("ApiId") + "/stages/" + w.ID}, "Tags", "TagKeys")
		},
		Delete: func(w *work) error {
			_, err := w.call("DeleteStage", name(w))
			return err
		},
	}
}

// emptied is a map with an empty string for each key that was there and is not any more.
func emptied(is map[string]any, was any) map[string]any {
	out := maps.Clone(is)
	for k := range tagMap(was) {
		if _, kept := is[k]; !kept {
			out[k] = ""
		}
	}
	return out
}

// dropRouteSettings takes away the settings of a stage's routes that are not there any more or differ.
func dropRouteSettings(w *work, stage map[string]any) error {
	was, _ := w.Old["RouteSettings"].(map[string]any)
	is, _ := w.Props["RouteSettings"].(map[string]any)
	for _, route := range sortedKeys(was) {
		if now, kept := is[route]; kept && cfn.Equal(now, was[route]) {
			continue
		}
		in := maps.Clone(stage)
		in["RouteKey"] = route
		if _, err := w.call("DeleteRouteSettings", in); gone(err) != nil {
			return err
		}
	}
	return nil
}

func httpIntegration() *resourceType {
	t := httpMember(&resourceType{
		Name: "AWS::ApiGatewayV2::Integration",
		Schema: `ApiId!@new IntegrationType! IntegrationUri IntegrationMethod IntegrationSubtype PayloadFormatVersion TimeoutInMillis:int
			ConnectionId ConnectionType ContentHandlingStrategy CredentialsArn Description PassthroughBehavior RequestParameters:map
			RequestTemplates:map ResponseParameters:map({ResponseParameters:[{Destination! Source!}]}) TemplateSelectionExpression TlsConfig:{ServerNameToVerify}`,
		Attributes: []string{"IntegrationId"},
	}, "Integration", "IntegrationId", func(w *work, item any) bool {
		return str(item, "IntegrationType") == w.text("IntegrationType") && str(item, "IntegrationUri") == w.text("IntegrationUri")
	}, map[string]any{"Description": "", "CredentialsArn": "", "TimeoutInMillis": number("30000")},
		"IntegrationType", "IntegrationUri", "IntegrationMethod", "IntegrationSubtype", "PayloadFormatVersion", "TimeoutInMillis", "ConnectionId",
		"ConnectionType", "ContentHandlingStrategy", "CredentialsArn", "Description", "PassthroughBehavior", "RequestParameters", "RequestTemplates",
		"ResponseParameters", "TemplateSelectionExpression", "TlsConfig")
	t.Create, t.Update = withResponseParameters(t.Create), withResponseParameters(t.Update)
	return t
}

// withResponseParameters writes the parameters of responses as the API has them: templates have a list of
// destinations and sources for each status where the API has a map.
func withResponseParameters(do func(*work) error) func(*work) error {
	flat := func(props map[string]any) map[string]any {
		byStatus, ok := props["ResponseParameters"].(map[string]any)
		if !ok {
			return props
		}
		flat := map[string]any{}
		for status, p := range byStatus {
			sources := map[string]any{}
			for _, e := range items(p, "ResponseParameters") {
				sources[str(e, "Destination")] = str(e, "Source")
			}
			flat[status] = sources
		}
		out := maps.Clone(props)
		out["ResponseParameters"] = flat
		return out
	}
	return func(w *work) error {
		w.Props, w.Old = flat(w.Props), flat(w.Old)
		return do(w)
	}
}

func httpRoute() *resourceType {
	return httpMember(&resourceType{
		Name: "AWS::ApiGatewayV2::Route",
		Schema: `ApiId!@new RouteKey! Target AuthorizationType AuthorizerId AuthorizationScopes:[string] ApiKeyRequired:bool OperationName
			ModelSelectionExpression RequestModels:map RequestParameters:map({Required!:bool}) RouteResponseSelectionExpression`,
		Attributes: []string{"RouteId"},
	}, "Route", "RouteId", func(w *work, item any) bool { return str(item, "RouteKey") == w.text("RouteKey") },
		map[string]any{"Target": "", "AuthorizationType": "NONE", "OperationName": "", "ApiKeyRequired": false, "AuthorizationScopes": []any{}},
		"RouteKey", "Target", "AuthorizationType", "AuthorizerId", "AuthorizationScopes", "ApiKeyRequired", "OperationName",
		"ModelSelectionExpression", "RequestModels", "RequestParameters", "RouteResponseSelectionExpression")
}

func httpDeployment() *resourceType {
	t := httpMember(&resourceType{
		Name:       "AWS::ApiGatewayV2::Deployment",
		Schema:     `ApiId!@new Description StageName@new`,
		Attributes: []string{"DeploymentId"},
	}, "Deployment", "DeploymentId", func(w *work, item any) bool { return str(item, "Description") == w.text("Description") },
		map[string]any{"Description": ""}, "Description")
	before, create, remove := t.Before, t.Create, t.Delete
	t.Before = func(w *work) error {
		if err := before(w); err != nil || w.text("StageName") == "" {
			return err
		}
		stage, err := w.call("GetStage", w.in("ApiId", "StageName"))
		w.Notes["previous"] = str(stage, "DeploymentId")
		return gone(err)
	}
	t.Create = func(w *work) error {
		if err := create(w); err != nil || w.text("StageName") == "" {
			return err
		}
		return w.showDeployment(w.ID)
	}
	t.Delete = func(w *work) error {
		if err := w.leaveHTTPStage(); err != nil {
			return err
		}
		return remove(w)
	}
	return t
}

func (w *work) showDeployment(id string) error {
	in := w.in("ApiId", "StageName")
	in["DeploymentId"] = id
	_, err := w.call("UpdateStage", in)
	return err
}

// leaveHTTPStage takes a deployment away from the stage that it was put on: the stage shows again what it
// showed before. A stage can not go back to showing nothing; it gets an automatic deployment then.
func (w *work) leaveHTTPStage() error {
	if w.text("StageName") == "" {
		return nil
	}
	name := w.in("ApiId", "StageName")
	stage, err := w.call("GetStage", name)
	if err != nil || str(stage, "DeploymentId") != w.ID {
		return gone(err)
	}
	if previous := str(w.Notes, "previous"); previous != "" {
		if err := w.showDeployment(previous); !missing(err) {
			return err
		}
	}
	for _, automatic := range []bool{true, false} {
		in := maps.Clone(name)
		in["AutoDeploy"] = automatic
		if _, err := w.call("UpdateStage", in); err != nil {
			return err
		}
	}
	return nil
}
