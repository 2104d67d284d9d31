package cloudformation

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/lang/cfn"
)

func apiGatewayTypes() []*resourceType {
	return []*resourceType{restAPI(), restResource(), restMethod(), restDeployment(), restStage(), restAccount(),
		restValidator(), restModel(), restGatewayResponse()}
}

// patch is one operation of a PATCH request.
func patch(op, path string, value any) any {
	m := map[string]any{"op": op, "path": path}
	if value != nil {
		text, _ := cfn.Text(value)
		m["value"] = text
	}
	return m
}

// pointer escapes a name as JSON pointers do.
func pointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// replacements are the patches that set the given properties where they changed.
func (w *work) replacements(properties ...string) []any {
	var out []any
	for _, p := range properties {
		if w.sets(p) {
			value := w.Props[p]
			if value == nil {
				value = ""
			}
			out = append(out, patch("replace", "/"+memberName(p, true), value))
		}
	}
	return out
}

// patched sends patches, unless there are none.
func (w *work) patched(operation string, in map[string]any, patches []any) error {
	if len(patches) == 0 {
		return nil
	}
	in["patchOperations"] = patches
	_, err := w.call(operation, in)
	return err
}

func (w *work) restARN(path string) map[string]any {
	return map[string]any{"resourceArn": "arn:aws:apigateway:" + w.Region + "::" + path}
}

func restAPI() *resourceType {
	before, find := listing("GetRestApis", func(w *work) map[string]any { return map[string]any{"limit": number("500")} }, "items", "id",
		func(w *work, item any) bool { return str(item, "name") == w.text("Name") })
	policy := func(w *work) any {
		if p := w.Props["Policy"]; p != nil && p != "" {
			return w.document(p)
		}
		return nil
	}
	return &resourceType{
		Name: "AWS::ApiGateway::RestApi", Service: "apigateway", Lower: true, Stamped: true,
		Schema: `Name Description ApiKeySourceType BinaryMediaTypes:[string] CloneFrom Body:absent BodyS3Location:absent FailOnWarnings:absent
			EndpointConfiguration:{Types:[string] VpcEndpointIds:[string] IpAddressType} Policy:json MinimumCompressionSize:int Mode:absent
			EndpointAccessMode:absent SecurityPolicy:absent Version:absent DisableExecuteApiEndpoint:bool Parameters:absent Tags:[{Key! Value!}]`,
		Attributes: []string{"RootResourceId", "RestApiId"},
		Before:     before,
		Find:       find,
		Create: func(w *work) error {
			if w.ID == "" {
				in := w.in("Name", "Description", "ApiKeySourceType>apiKeySource", "BinaryMediaTypes", "CloneFrom", "EndpointConfiguration",
					"MinimumCompressionSize", "DisableExecuteApiEndpoint")
				if p := policy(w); p != nil {
					in["policy"] = p
				}
				if tags := tagMap(w.Props["Tags"]); len(tags) > 0 {
					in["tags"] = tags
				}
				out, err := w.call("CreateRestApi", in)
				if err != nil {
					return err
				}
				w.ID = str(out, "id")
			}
			out, err := w.call("GetResources", map[string]any{"restApiId": w.ID})
			for _, r := range items(out, "items") {
				if str(r, "path") == "/" {
					w.Attributes["RootResourceId"] = str(r, "id")
				}
			}
			w.Attributes["RestApiId"] = w.ID
			return err
		},
		Update: func(w *work) error {
			patches := w.replacements("Name", "Description", "MinimumCompressionSize", "DisableExecuteApiEndpoint")
			if w.changed("ApiKeySourceType") {
				patches = append(patches, patch("replace", "/apiKeySource", cmp.Or(w.text("ApiKeySourceType"), "HEADER")))
			}
			patches = append(patches, endpointPatches(w)...)
			if w.changed("Policy") {
				p := policy(w)
				if p == nil {
					p = ""
				}
				patches = append(patches, patch("replace", "/policy", p))
			}
			patches = append(patches, setPatches("/binaryMediaTypes/", items(w.Props, "BinaryMediaTypes"), items(w.Old, "BinaryMediaTypes"))...)
			if err := w.patched("UpdateRestApi", map[string]any{"restApiId": w.ID}, patches); err != nil {
				return err
			}
			return w.retag("TagResource", "UntagResource", w.restARN("/restapis/"+w.ID), "tags", "tagKeys")
		},
		Delete: func(w *work) error {
			_, err := w.call("DeleteRestApi", map[string]any{"restApiId": w.ID})
			return err
		},
	}
}

// endpointPatches set where an API can be reached: at the edge over IPv4 unless something else is said.
func endpointPatches(w *work) []any {
	if !w.changed("EndpointConfiguration") {
		return nil
	}
	endpoint := func(v any) (kind, address string) {
		kind = "EDGE"
		if types := items(v, "Types"); len(types) > 0 {
			kind, _ = cfn.Text(types[0])
		}
		return kind, cmp.Or(str(v, "IpAddressType"), "ipv4")
	}
	kind, address := endpoint(w.Props["EndpointConfiguration"])
	wasKind, wasAddress := endpoint(w.Old["EndpointConfiguration"])
	var out []any
	if kind != wasKind {
		out = append(out, patch("replace", "/endpointConfiguration/types/"+wasKind, kind))
	}
	if address != wasAddress {
		out = append(out, patch("replace", "/endpointConfiguration/ipAddressType", address))
	}
	return out
}

// setPatches are the patches that add and remove the members of a set.
func setPatches(path string, is, was []any) []any {
	var out []any
	for _, v := range is {
		if !slices.Contains(was, v) {
			out = append(out, patch("add", path+pointer(v.(string)), nil))
		}
	}
	for _, v := range was {
		if !slices.Contains(is, v) {
			out = append(out, patch("remove", path+pointer(v.(string)), nil))
		}
	}
	return out
}

func restResource() *resourceType {
	before, find := listing("GetResources", func(w *work) map[string]any {
		return map[string]any{"restApiId": w.text("RestApiId"), "limit": number("500")}
	}, "items", "id", func(w *work, item any) bool {
		return str(item, "parentId") == w.text("ParentId") && str(item, "pathPart") == w.text("PathPart")
	})
	return &resourceType{
		Name: "AWS::ApiGateway::Resource", Service: "apigateway", Lower: true,
		Schema:     `ParentId!@new PathPart!@new RestApiId!@new`,
		Attributes: []string{"ResourceId"},
		Before:     before,
		Find:       find,
		Create: func(w *work) error {
			if w.ID == "" {
				out, err := w.call("CreateResource", w.in("RestApiId", "ParentId", "PathPart"))
				if err != nil {
					return err
				}
				w.ID = str(out, "id")
			}
			w.Attributes["ResourceId"] = w.ID
			return nil
		},
		Delete: func(w *work) error {
			_, err := w.call("DeleteResource", map[string]any{"restApiId": w.text("RestApiId"), "resourceId": w.ID})
			return err
		},
	}
}

func restMethod() *resourceType {
	remove := func(w *work) error {
		_, err := w.call("DeleteMethod", w.in("RestApiId", "ResourceId", "HttpMethod"))
		return gone(err)
	}
	return &resourceType{
		Name: "AWS::ApiGateway::Method", Service: "apigateway", Lower: true,
		Schema: `RestApiId!@new ResourceId!@new HttpMethod!@new AuthorizationType AuthorizerId AuthorizationScopes:[string] ApiKeyRequired:bool
			OperationName RequestModels:map RequestParameters:map(bool) RequestValidatorId
			MethodResponses:[{StatusCode! ResponseModels:map ResponseParameters:map(bool)}]
			Integration:{Type! Uri IntegrationHttpMethod ConnectionId ConnectionType ContentHandling Credentials PassthroughBehavior
				RequestParameters:map RequestTemplates:map CacheKeyParameters:[string] CacheNamespace TimeoutInMillis:int ResponseTransferMode IntegrationTarget
				IntegrationResponses:[{StatusCode! ContentHandling ResponseParameters:map ResponseTemplates:map SelectionPattern}]}`,
		ID: func(w *work) string {
			return w.text("RestApiId") + "|" + w.text("ResourceId") + "|" + w.text("HttpMethod")
		},
		Create: func(w *work) error {
			if w.Resumed { // whatever part of it an earlier attempt made is made again as a whole
				if err := remove(w); err != nil {
					return err
				}
			}
			return w.putMethod()
		},
		// A deployed stage does not see the method, only what was deployed of it: making it anew disturbs nobody.
		Update: func(w *work) error {
			if err := remove(w); err != nil {
				return err
			}
			return w.putMethod()
		},
		Delete: remove,
	}
}

func (w *work) putMethod() error {
	name := w.in("RestApiId", "ResourceId", "HttpMethod")
	in := w.in("RestApiId", "ResourceId", "HttpMethod", "AuthorizationType", "AuthorizerId", "AuthorizationScopes", "ApiKeyRequired",
		"OperationName", "RequestModels", "RequestParameters", "RequestValidatorId")
	if in["authorizationType"] == nil {
		in["authorizationType"] = "NONE"
	}
	if _, err := w.call("PutMethod", in); err != nil {
		return err
	}
	w.ID = w.Type.ID(w)
	for _, r := range items(w.in("MethodResponses"), "methodResponses") {
		in := maps.Clone(name)
		maps.Copy(in, r.(map[string]any))
		if _, err := w.call("PutMethodResponse", in); err != nil {
			return err
		}
	}
	integration, ok := w.in("Integration")["integration"].(map[string]any)
	if !ok {
		return nil
	}
	responses := items(integration, "integrationResponses")
	delete(integration, "integrationResponses")
	maps.Copy(integration, name)
	if _, err := w.call("PutIntegration", integration); err != nil {
		return err
	}
	for _, r := range responses {
		in := maps.Clone(name)
		maps.Copy(in, r.(map[string]any))
		if _, err := w.call("PutIntegrationResponse", in); err != nil {
			return err
		}
	}
	return nil
}

func restDeployment() *resourceType {
	known, find := listing("GetDeployments", func(w *work) map[string]any {
		return map[string]any{"restApiId": w.text("RestApiId"), "limit": number("500")}
	}, "items", "id", func(*work, any) bool { return true })
	return &resourceType{
		Name: "AWS::ApiGateway::Deployment", Service: "apigateway", Lower: true,
		Schema:     `RestApiId!@new Description StageName@new StageDescription@new:json DeploymentCanarySettings:absent`,
		Attributes: []string{"DeploymentId"},
		Before: func(w *work) error {
			if err := known(w); err != nil {
				return err
			}
			if w.text("StageName") == "" {
				return nil
			}
			// What the stage shows now is what a rollback will have to show again.
			stage, err := w.call("GetStage", w.in("RestApiId", "StageName"))
			w.Notes["previous"] = str(stage, "deploymentId")
			return gone(err)
		},
		Find: find,
		Create: func(w *work) error {
			if w.ID == "" {
				in := w.in("RestApiId", "Description", "StageName")
				if err := w.stageDescription(in); err != nil {
					return err
				}
				out, err := w.call("CreateDeployment", in)
				if err != nil {
					return err
				}
				w.ID = str(out, "id")
			}
			w.Attributes["DeploymentId"] = w.ID
			return nil
		},
		Update: func(w *work) error {
			return w.patched("UpdateDeployment", map[string]any{"restApiId": w.text("RestApiId"), "deploymentId": w.ID}, w.replacements("Description"))
		},
		Delete: func(w *work) error {
			if err := w.leaveStage(); err != nil {
				return err
			}
			_, err := w.call("DeleteDeployment", map[string]any{"restApiId": w.text("RestApiId"), "deploymentId": w.ID})
			return err
		},
	}
}

// stageDescription puts what a deployment says of its stage into the call that makes both.
func (w *work) stageDescription(in map[string]any) error {
	d, ok := w.Props["StageDescription"].(map[string]any)
	if !ok {
		return nil
	}
	members := map[string]string{"Description": "stageDescription", "Variables": "variables", "TracingEnabled": "tracingEnabled"}
	for _, k := range sortedKeys(d) {
		if members[k] == "" {
			return cloud.NotImplemented("StageDescription." + k + " of AWS::ApiGateway::Deployment")
		}
		in[members[k]] = d[k]
	}
	return nil
}

// leaveStage takes a deployment away from the stage that it made or changed: the stage shows again what it
// showed before, and goes when that is no more.
func (w *work) leaveStage() error {
	if w.text("StageName") == "" {
		return nil
	}
	name := w.in("RestApiId", "StageName")
	stage, err := w.call("GetStage", name)
	if err != nil || str(stage, "deploymentId") != w.ID {
		return gone(err)
	}
	if previous := str(w.Notes, "previous"); previous != "" {
		_, err := w.call("GetDeployment", map[string]any{"restApiId": w.text("RestApiId"), "deploymentId": previous})
		if err == nil {
			return w.patched("UpdateStage", name, []any{patch("replace", "/deploymentId", previous)})
		}
		if !missing(err) {
			return err
		}
	}
	_, err = w.call("DeleteStage", name)
	return gone(err)
}

func restStage() *resourceType {
	name := func(w *work) map[string]any { return w.in("RestApiId", "StageName") }
	return &resourceType{
		Name: "AWS::ApiGateway::Stage", Service: "apigateway", Lower: true, Stamped: true,
		Schema: `RestApiId!@new StageName@new DeploymentId Description Variables:map TracingEnabled:bool CacheClusterEnabled:bool CacheClusterSize
			ClientCertificateId DocumentationVersion AccessLogSetting:{DestinationArn Format} CanarySetting:absent Tags:[{Key! Value!}]
			MethodSettings:[{ResourcePath HttpMethod MetricsEnabled:bool LoggingLevel DataTraceEnabled:bool ThrottlingBurstLimit:int
				ThrottlingRateLimit:num CachingEnabled:bool CacheTtlInSeconds:int CacheDataEncrypted:bool}]`,
		ID: func(w *work) string { return w.text("StageName") },
		Create: func(w *work) error {
			in := w.in("RestApiId", "StageName", "DeploymentId", "Description", "Variables", "TracingEnabled", "CacheClusterEnabled",
				"CacheClusterSize", "DocumentationVersion")
			if tags := tagMap(w.Props["Tags"]); len(tags) > 0 {
				in["tags"] = tags
			}
			if _, err := w.make("CreateStage", in); err != nil {
				return err
			}
			w.ID = w.text("StageName")
			patches, err := w.stagePatches()
			if err != nil {
				return err
			}
			return w.patched("UpdateStage", name(w), append(patches, w.replacements("ClientCertificateId")...))
		},
		Update: func(w *work) error {
			patches := w.replacements("DeploymentId", "Description", "TracingEnabled", "CacheClusterEnabled", "CacheClusterSize",
				"ClientCertificateId", "DocumentationVersion")
			is, was := tagMap(w.Props["Variables"]), tagMap(w.Old["Variables"])
			for _, k := range changed(was, is) {
				if v, ok := is[k]; ok {
					patches = append(patches, patch("replace", "/variables/"+pointer(k), v))
				} else {
					patches = append(patches, patch("remove", "/variables/"+pointer(k), nil))
				}
			}
			more, err := w.stagePatches()
			if err != nil {
				return err
			}
			if err := w.patched("UpdateStage", name(w), append(patches, more...)); err != nil {
				return err
			}
			return w.retag("TagResource", "UntagResource", w.restARN("/restapis/"+w.text("RestApiId")+"/stages/"+w.ID), "tags", "tagKeys")
		},
		Delete: func(w *work) error {
			_, err := w.call("DeleteStage", name(w))
			return err
		},
	}
}

// stagePatches set what CreateStage does not take: access logs and the settings of methods.
func (w *work) stagePatches() ([]any, error) {
	var out []any
	if w.changed("AccessLogSetting") {
		if a := w.Props["AccessLogSetting"]; a != nil {
			out = append(out, patch("replace", "/accessLogSettings/destinationArn", str(a, "DestinationArn")),
				patch("replace", "/accessLogSettings/format", str(a, "Format")))
		} else if w.Old["AccessLogSetting"] != nil {
			out = append(out, patch("remove", "/accessLogSettings", nil))
		}
	}
	if !w.changed("MethodSettings") {
		return out, nil
	}
	paths := map[string]string{"MetricsEnabled": "metrics/enabled", "LoggingLevel": "logging/loglevel", "DataTraceEnabled": "logging/dataTrace",
		"ThrottlingBurstLimit": "throttling/burstLimit", "ThrottlingRateLimit": "throttling/rateLimit", "CachingEnabled": "caching/enabled",
		"CacheTtlInSeconds": "caching/ttlInSeconds", "CacheDataEncrypted": "caching/dataEncrypted"}
	path := func(setting any) string {
		return "/" + settingPath(str(setting, "ResourcePath")) + "/" + str(setting, "HttpMethod")
	}
	// What is not said any more goes back to its default with the whole setting. Only those that are there
	// can be removed, and an attempt that was cut off may have done so already.
	if were := items(w.Old, "MethodSettings"); len(were) > 0 {
		stage, err := w.call("GetStage", w.in("RestApiId", "StageName"))
		if err != nil {
			return nil, err
		}
		for _, s := range were {
			if at(stage, "methodSettings", strings.TrimPrefix(cmp.Or(str(s, "ResourcePath"), "*"), "/")+"/"+str(s, "HttpMethod")) != nil {
				out = append(out, patch("remove", path(s), nil))
			}
		}
	}
	for _, s := range items(w.Props, "MethodSettings") {
		for _, k := range sortedKeys(paths) {
			if v := s.(map[string]any)[k]; v != nil {
				out = append(out, patch("replace", path(s)+"/"+paths[k], v))
			}
		}
	}
	return out, nil
}

// settingPath escapes a resource path as method settings have it: /a/b is ~1a~1b, /* means every path.
func settingPath(path string) string {
	if path == "/*" || path == "*" || path == "" {
		return "*"
	}
	return pointer(path)
}

func restAccount() *resourceType {
	set := func(w *work) error {
		w.ID = w.Name
		w.Attributes["Id"] = w.ID
		return w.patched("UpdateAccount", map[string]any{}, []any{patch("replace", "/cloudwatchRoleArn", w.text("CloudWatchRoleArn"))})
	}
	return &resourceType{
		Name: "AWS::ApiGateway::Account", Service: "apigateway", Lower: true, NameLength: 64,
		Schema:     `CloudWatchRoleArn`,
		Attributes: []string{"Id"},
		Create:     set,
		Update:     set,
		Delete:     func(*work) error { return nil }, // the account stays, and its role with it, as on AWS
	}
}

func restValidator() *resourceType {
	before, find := listing("GetRequestValidators", func(w *work) map[string]any { return w.in("RestApiId") }, "items", "id",
		func(w *work, item any) bool { return str(item, "name") == w.text("Name") })
	return &resourceType{
		Name: "AWS::ApiGateway::RequestValidator", Service: "apigateway", Lower: true,
		Schema:     `RestApiId!@new Name@new ValidateRequestBody:bool ValidateRequestParameters:bool`,
		Attributes: []string{"RequestValidatorId"},
		Before:     before,
		Find:       find,
		Create: func(w *work) error {
			if w.ID == "" {
				out, err := w.call("CreateRequestValidator", w.in("RestApiId", "Name", "ValidateRequestBody", "ValidateRequestParameters"))
				if err != nil {
					return err
				}
				w.ID = str(out, "id")
			}
			w.Attributes["RequestValidatorId"] = w.ID
			return nil
		},
		Update: func(w *work) error {
			var patches []any
			for _, p := range []string{"ValidateRequestBody", "ValidateRequestParameters"} {
				if w.changed(p) {
					patches = append(patches, patch("replace", "/"+memberName(p, true), w.Props[p] == true))
				}
			}
			return w.patched("UpdateRequestValidator", map[string]any{"restApiId": w.text("RestApiId"), "requestValidatorId": w.ID}, patches)
		},
		Delete: func(w *work) error {
			_, err := w.call("DeleteRequestValidator", map[string]any{"restApiId": w.text("RestApiId"), "requestValidatorId": w.ID})
			return err
		},
	}
}

func restModel() *resourceType {
	schemaText := func(w *work) (string, error) {
		if s, ok := w.Props["Schema"].(string); ok {
			return s, nil
		}
		return cfn.Encode(w.Props["Schema"])
	}
	return &resourceType{
		Name: "AWS::ApiGateway::Model", Service: "apigateway", Lower: true, NameLength: 128,
		Schema: `RestApiId!@new Name@name ContentType@new Description Schema:json`,
		Create: func(w *work) error {
			in := w.in("RestApiId", "ContentType", "Description")
			in["name"] = strings.ReplaceAll(w.Name, "-", "") // model names are alphanumeric
			if in["contentType"] == nil {
				in["contentType"] = "application/json"
			}
			if w.Props["Schema"] != nil {
				text, err := schemaText(w)
				if err != nil {
					return err
				}
				in["schema"] = text
			}
			if _, err := w.make("CreateModel", in); err != nil {
				return err
			}
			w.ID = in["name"].(string)
			return nil
		},
		ID: func(w *work) string { return strings.ReplaceAll(w.Name, "-", "") },
		Update: func(w *work) error {
			patches := w.replacements("Description")
			if w.changed("Schema") {
				text, err := schemaText(w)
				if err != nil {
					return err
				}
				patches = append(patches, patch("replace", "/schema", text))
			}
			return w.patched("UpdateModel", map[string]any{"restApiId": w.text("RestApiId"), "modelName": w.ID}, patches)
		},
		Delete: func(w *work) error {
			_, err := w.call("DeleteModel", map[string]any{"restApiId": w.text("RestApiId"), "modelName": w.ID})
			return err
		},
	}
}

func restGatewayResponse() *resourceType {
	put := func(w *work) error {
		if _, err := w.call("PutGatewayResponse", w.in("RestApiId", "ResponseType", "StatusCode", "ResponseParameters", "ResponseTemplates")); err != nil {
			return err
		}
		w.ID = w.Name
		w.Attributes["Id"] = w.ID
		return nil
	}
	return &resourceType{
		Name: "AWS::ApiGateway::GatewayResponse", Service: "apigateway", Lower: true, NameLength: 128,
		Schema:     `RestApiId!@new ResponseType!@new StatusCode ResponseParameters:map ResponseTemplates:map`,
		Attributes: []string{"Id"},
		Create:     put,
		Update:     put,
		Delete: func(w *work) error {
			_, err := w.call("DeleteGatewayResponse", w.in("RestApiId", "ResponseType"))
			return err
		},
	}
}
