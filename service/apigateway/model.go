package apigateway

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/jsonpath"
	"lambent/lang/jsonschema"
)

var modelName = regexp.MustCompile(`^[a-zA-Z0-9]+$`)

// defaultModels are those that every API begins with.
func defaultModels() []Model {
	return []Model{
		{Id: new(newID(6)), Name: new("Empty"), ContentType: new("application/json"), Description: new("This is a default empty schema model"),
			Schema: new("{\n  \"$schema\": \"http://json-schema.org/draft-04/schema#\",\n  \"title\" : \"Empty Schema\",\n  \"type\" : \"object\"\n}")},
		{Id: new(newID(6)), Name: new("Error"), ContentType: new("application/json"), Description: new("This is a default error schema model"),
			Schema: new("{\n  \"$schema\" : \"http://json-schema.org/draft-04/schema#\",\n  \"title\" : \"Error Schema\",\n  \"type\" : \"object\",\n" +
				"  \"properties\" : {\n    \"message\" : { \"type\" : \"string\" }\n  }\n}")},
	}
}

func (s *Service) createModel(ctx context.Context, c cloud.Caller, in *CreateModelInput) (*Model, error) {
	m := Model{Id: new(newID(6)), Name: in.Name, Description: in.Description, Schema: in.Schema, ContentType: in.ContentType}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		if _, err := s.api(ctx, tx, c, in.RestApiId); err != nil {
			return err
		}
		if err := checkModel(&m); err != nil {
			return err
		}
		key := partKey(c, *in.RestApiId, "model", *m.Name)
		have, err := tx.Get(ctx, key)
		if err != nil {
			return err
		}
		if have != nil {
			return conflict("Model name already exists for this REST API")
		}
		return kv.PutRow(tx, key, &m)
	})
	if err != nil {
		return nil, err
	}
	return &m, nil
}

func checkModel(m *Model) error {
	if cloud.Val(m.Name) == "" {
		return badRequest("Model name must be non-empty")
	}
	if !modelName.MatchString(*m.Name) {
		return badRequest("Model name must be alphanumeric: %s", *m.Name)
	}
	doc, err := jsonpath.Parse([]byte(cloud.Val(m.Schema)))
	if o, ok := doc.(*jsonpath.Object); err != nil || !ok || o.Len() == 0 {
		return badRequest("Model schema must have at least 1 property or array items defined")
	}
	if _, err := jsonschema.Compile([]byte(*m.Schema), nil); err != nil {
		return badRequest("Invalid model specified: Validation Result: warnings : [], errors : [Invalid model schema specified. %s]", err)
	}
	return nil
}

// compileSchemas compiles the models of a snapshot, which may refer to each other by URL.
func compileSchemas(models map[string]Model) map[string]*jsonschema.Schema {
	schemas := map[string]*jsonschema.Schema{}
	resolve := func(ref string) *jsonschema.Schema {
		return schemas[ref[strings.LastIndexByte(ref, '/')+1:]]
	}
	for name, m := range models {
		if schema, err := jsonschema.Compile([]byte(cloud.Val(m.Schema)), resolve); err == nil { // it was judged when it was put
			schemas[name] = schema
		}
	}
	return schemas
}

func (s *Service) model(ctx context.Context, r kv.Reader, c cloud.Caller, api, name *string) (*Model, error) {
	var m Model
	found, err := kv.GetRow(ctx, r, partKey(c, cloud.Val(api), "model", cloud.Val(name)), &m)
	if err == nil && !found {
		err = notFound("Invalid model name specified: %s", cloud.Val(name))
	}
	return &m, err
}

func (s *Service) getModel(ctx context.Context, c cloud.Caller, in *GetModelInput) (out *Model, err error) {
	if cloud.Val(in.Flatten) {
		return nil, cloud.NotImplemented("A model with its references flattened (flatten)")
	}
	err = s.kv.View(ctx, func(r kv.Reader) error {
		out, err = s.model(ctx, r, c, in.RestApiId, in.ModelName)
		return err
	})
	return out, err
}

func (s *Service) getModels(ctx context.Context, c cloud.Caller, in *GetModelsInput) (*Models, error) {
	out := &Models{}
	err := s.kv.View(ctx, func(r kv.Reader) error {
		if _, err := s.api(ctx, r, c, in.RestApiId); err != nil {
			return err
		}
		all, err := scan[Model](ctx, r, partRange(c, *in.RestApiId, "model"))
		if err != nil {
			return err
		}
		out.Items, out.Position, err = page(all, func(m *Model) string { return *m.Name }, in.Position, in.Limit)
		return err
	})
	return out, err
}

func (s *Service) updateModel(ctx context.Context, c cloud.Caller, in *UpdateModelInput) (out *Model, err error) {
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		m, err := s.model(ctx, tx, c, in.RestApiId, in.ModelName)
		if err != nil {
			return err
		}
		out = m
		for _, op := range in.PatchOperations {
			if p := cloud.Val(op.Path); cloud.Val(op.Op) != "replace" {
				return badRequest("Invalid patch path  '%s' specified for op '%s'. Please choose supported operations", p, cloud.Val(op.Op))
			} else if p != "/schema" && p != "/description" {
				return badRequest("Invalid patch path  '%s' specified for op 'replace'. Must be one of: [/description, /schema]", p)
			}
		}
		t := target{"/schema": replaceStr(&m.Schema), "/description": replaceStr(&m.Description)}
		if err := t.apply(in.PatchOperations); err != nil {
			return err
		}
		if err := checkModel(m); err != nil {
			return err
		}
		return kv.PutRow(tx, partKey(c, *in.RestApiId, "model", *m.Name), m)
	})
	return out, err
}

func (s *Service) deleteModel(ctx context.Context, c cloud.Caller, in *DeleteModelInput) (*DeleteModelOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		m, err := s.model(ctx, tx, c, in.RestApiId, in.ModelName)
		if err != nil {
			return err
		}
		if err := s.unreferenced(ctx, tx, c, *in.RestApiId, *m.Name); err != nil {
			return err
		}
		tx.Delete(partKey(c, *in.RestApiId, "model", *m.Name))
		return nil
	})
	return &DeleteModelOutput{}, err
}

// unreferenced refuses to let go a model that a method still names.
func (s *Service) unreferenced(ctx context.Context, r kv.Reader, c cloud.Caller, api, model string) error {
	resources, err := scan[Resource](ctx, r, partRange(c, api, "resource"))
	if err != nil {
		return err
	}
	names := func(models map[string]string) bool {
		for _, m := range models {
			if m == model {
				return true
			}
		}
		return false
	}
	slices.SortFunc(resources, func(a, b Resource) int { return strings.Compare(*a.Path, *b.Path) })
	for _, res := range resources {
		methods, err := scan[Method](ctx, r, partRange(c, api, "method", *res.Id))
		if err != nil {
			return err
		}
		for _, m := range methods {
			if names(m.RequestModels) {
				return conflict("Cannot delete model '%s', is referenced in method request: %s/%s", model, *res.Path, *m.HttpMethod)
			}
			for _, mr := range m.MethodResponses {
				if names(mr.ResponseModels) {
					return conflict("Cannot delete model '%s', is referenced in method response: %s/%s", model, *res.Path, *m.HttpMethod)
				}
			}
		}
	}
	return nil
}
