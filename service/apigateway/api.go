package apigateway

import (
	"context"
	"slices"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

func (s *Service) createRestApi(ctx context.Context, c cloud.Caller, in *CreateRestApiInput) (*RestApi, error) {
	api := RestApi{
		Name: in.Name, Description: in.Description, Version: in.Version,
		BinaryMediaTypes: in.BinaryMediaTypes, MinimumCompressionSize: in.MinimumCompressionSize,
		ApiKeySource:              new(cloud.Or(in.ApiKeySource, "HEADER")),
		EndpointConfiguration:     in.EndpointConfiguration,
		Policy:                    in.Policy,
		Tags:                      in.Tags,
		DisableExecuteApiEndpoint: new(cloud.Val(in.DisableExecuteApiEndpoint)),
		CreatedDate:               new(c.Now.Truncate(time.Second)),
		Id:                        new(newID(10)),
		RootResourceId:            new(newID(10)),
	}
	if in.CloneFrom != nil {
		return nil, cloud.NotImplemented("Cloning a REST API (cloneFrom)")
	}
	if in.SecurityPolicy != nil || in.EndpointAccessMode != nil {
		return nil, cloud.NotImplemented("A REST API's own TLS policy (securityPolicy, endpointAccessMode)")
	}
	if err := checkAPI(&api); err != nil {
		return nil, err
	}
	root := Resource{Id: api.RootResourceId, Path: new("/")}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		if err := kv.PutRow(tx, homeKey(*api.Id), homeRow{c.Account, c.Region}); err != nil {
			return err
		}
		if err := kv.PutRow(tx, partKey(c, *api.Id, "resource", *root.Id), &root); err != nil {
			return err
		}
		for _, m := range defaultModels() {
			if err := kv.PutRow(tx, partKey(c, *api.Id, "model", *m.Name), &m); err != nil {
				return err
			}
		}
		return kv.PutRow(tx, apiKey(c, *api.Id), &api)
	})
	if err != nil {
		return nil, err
	}
	return &api, nil
}

// checkAPI judges an API's settings and fills in what AWS defaults.
func checkAPI(api *RestApi) error {
	if cloud.Val(api.Name) == "" {
		return badRequest("API name must be non-empty")
	}
	if api.Description != nil && *api.Description == "" {
		return badRequest("Description cannot be an empty string")
	}
	if cloud.Val(api.Policy) == "" {
		api.Policy = nil // what Serverless Framework sends for no policy
	} else {
		return cloud.NotImplemented("A REST API's resource policy")
	}
	if cloud.Val(api.ApiKeySource) != "HEADER" {
		return cloud.NotImplemented("API keys from an authorizer (apiKeySource AUTHORIZER)")
	}
	if n := api.MinimumCompressionSize; n != nil {
		if *n < 0 || *n > 10485760 {
			return badRequest("Invalid minimum compression size, must be between 0 and 10485760")
		}
		return cloud.NotImplemented("Compression of responses (minimumCompressionSize)")
	}
	return checkEndpoint(api)
}

func checkEndpoint(api *RestApi) error {
	e := api.EndpointConfiguration
	if e == nil {
		e = &EndpointConfiguration{Types: []string{"EDGE"}}
		api.EndpointConfiguration = e
	}
	switch {
	case e.Types == nil:
		e.Types = []string{"EDGE"}
	case len(e.Types) == 0:
		return badRequest("REGIONAL Configuration and EDGE Configuration cannot be both DISABLED.")
	case len(e.Types) > 1:
		return badRequest("Cannot create an api with multiple Endpoint Types.")
	}
	if len(e.VpcEndpointIds) > 0 {
		return cloud.NotImplemented("VPC endpoints of a private API")
	}
	if e.Types[0] == "PRIVATE" {
		return cloud.NotImplemented("A private API (endpoint type PRIVATE)")
	}
	if e.IpAddressType == nil {
		e.IpAddressType = new("ipv4")
	}
	return nil
}

// api reads an API's row, or refuses its identifier.
func (s *Service) api(ctx context.Context, r kv.Reader, c cloud.Caller, id *string) (*RestApi, error) {
	var api RestApi
	found, err := kv.GetRow(ctx, r, apiKey(c, cloud.Val(id)), &api)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, invalidAPI(c, cloud.Val(id))
	}
	return &api, nil
}

func (s *Service) getRestApi(ctx context.Context, c cloud.Caller, in *GetRestApiInput) (out *RestApi, err error) {
	err = s.kv.View(ctx, func(r kv.Reader) error {
		out, err = s.api(ctx, r, c, in.RestApiId)
		return err
	})
	if err != nil {
		return nil, err
	}
	return withTags(out), nil
}

// withTags shows an empty map of tags, as all replies but that of the creation do.
func withTags(api *RestApi) *RestApi {
	if api.Tags == nil {
		api.Tags = map[string]string{}
	}
	return api
}

func (s *Service) getRestApis(ctx context.Context, c cloud.Caller, in *GetRestApisInput) (*RestApis, error) {
	apis, err := list[RestApi](ctx, s, apiRange(c))
	if err != nil {
		return nil, err
	}
	for i := range apis {
		withTags(&apis[i])
	}
	apis, next, err := page(apis, func(a *RestApi) string { return *a.Id }, in.Position, in.Limit)
	return &RestApis{Items: apis, Position: next}, err
}

// list reads all rows of a range.
func list[T any](ctx context.Context, s *Service, r kv.Range) (items []T, err error) {
	err = s.kv.View(ctx, func(reader kv.Reader) error {
		items, err = scan[T](ctx, reader, r)
		return err
	})
	return items, err
}

func scan[T any](ctx context.Context, reader kv.Reader, r kv.Range) ([]T, error) {
	rows, err := reader.Scan(ctx, r)
	if err != nil {
		return nil, err
	}
	items := make([]T, len(rows))
	for i, row := range rows {
		if err := kv.DecodeRow(row.Value, &items[i]); err != nil {
			return nil, err
		}
	}
	return items, nil
}

func (s *Service) updateRestApi(ctx context.Context, c cloud.Caller, in *UpdateRestApiInput) (out *RestApi, err error) {
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		api, err := s.api(ctx, tx, c, in.RestApiId)
		if err != nil {
			return err
		}
		out = api
		if err := apiTarget(api).apply(in.PatchOperations); err != nil {
			return err
		}
		if err := checkAPI(api); err != nil {
			return err
		}
		return kv.PutRow(tx, apiKey(c, *api.Id), api)
	})
	if err != nil {
		return nil, err
	}
	return withTags(out), nil
}

func apiTarget(api *RestApi) target {
	e := api.EndpointConfiguration
	return target{
		"/name":                      replaceStr(&api.Name),
		"/description":               str(&api.Description),
		"/version":                   str(&api.Version),
		"/policy":                    str(&api.Policy),
		"/apiKeySource":              replaceStr(&api.ApiKeySource),
		"/minimumCompressionSize":    integer(&api.MinimumCompressionSize),
		"/disableExecuteApiEndpoint": boolean(&api.DisableExecuteApiEndpoint),
		"/binaryMediaTypes/*": func(p patch) error {
			return patchList(&api.BinaryMediaTypes, p)
		},
		"/endpointConfiguration/ipAddressType":  replaceStr(&e.IpAddressType),
		"/endpointConfiguration/types/EDGE":     endpointType(e),
		"/endpointConfiguration/types/REGIONAL": endpointType(e),
		"/endpointConfiguration/types/PRIVATE":  endpointType(e),
	}
}

// endpointType replaces the one endpoint type, named in the path, by the value.
func endpointType(e *EndpointConfiguration) setter {
	return func(p patch) error {
		v := cloud.Val(p.value)
		if p.op != "replace" || e.Types[0] != p.segments[2] || !slices.Contains([]string{"EDGE", "REGIONAL", "PRIVATE"}, v) {
			return badRequest("Invalid patch path %s", p.path)
		}
		e.Types = []string{v}
		return nil
	}
}

// patchList adds, removes or replaces the element that the path names.
func patchList(list *[]string, p patch) error {
	name := p.segments[len(p.segments)-1]
	without := slices.DeleteFunc(slices.Clone(*list), func(s string) bool { return s == name })
	switch p.op {
	case "add":
		*list = append(without, name)
	case "remove":
		*list = without
	case "replace":
		*list = append(without, cloud.Or(p.value, name))
	}
	return nil
}

func (s *Service) deleteRestApi(ctx context.Context, c cloud.Caller, in *DeleteRestApiInput) (*DeleteRestApiOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		api, err := s.api(ctx, tx, c, in.RestApiId)
		if err != nil {
			return err
		}
		parts := partRange(c, *api.Id)
		tx.DeleteRange(parts.Begin, parts.End)
		tx.Delete(apiKey(c, *api.Id))
		tx.Delete(homeKey(*api.Id))
		return nil
	})
	return &DeleteRestApiOutput{}, err
}
