package apigateway

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

// pathPart is what a resource's own segment may be: plain characters, or one parameter.
var pathPart = regexp.MustCompile(`^(?:[a-zA-Z0-9._\-:]+|\{[a-zA-Z0-9._\-:]+\+?\})$`)

func (s *Service) createResource(ctx context.Context, c cloud.Caller, in *CreateResourceInput) (*Resource, error) {
	part := cloud.Val(in.PathPart)
	if !pathPart.MatchString(part) {
		return nil, badRequest("Resource's path part only allow a-zA-Z0-9._-: or a valid greedy path variable and curly braces at the beginning and the end.")
	}
	r := Resource{Id: new(newID(6)), ParentId: in.ParentId, PathPart: in.PathPart}
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		parent, err := s.resource(ctx, tx, c, in.RestApiId, in.ParentId)
		if err != nil {
			return err
		}
		if r.Path, err = s.placeFor(ctx, tx, c, *in.RestApiId, parent, part, ""); err != nil {
			return err
		}
		return kv.PutRow(tx, partKey(c, *in.RestApiId, "resource", *r.Id), &r)
	})
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// placeFor returns the path of a resource below parent, if its siblings leave it room. self is the resource's own
// identifier when it is there already.
func (s *Service) placeFor(ctx context.Context, r kv.Reader, c cloud.Caller, api string, parent *Resource, part, self string) (*string, error) {
	if strings.HasSuffix(*parent.Path, "+}") {
		return nil, badRequest("Cannot create a child of a resource with a greedy path variable.")
	}
	siblings, err := scan[Resource](ctx, r, partRange(c, api, "resource"))
	if err != nil {
		return nil, err
	}
	for _, o := range siblings {
		if cloud.Val(o.ParentId) != *parent.Id || *o.Id == self {
			continue
		}
		if *o.PathPart == part {
			return nil, conflict("Another resource with the same parent already has this name: %s", part)
		}
		if isVariable(*o.PathPart) && isVariable(part) && isGreedy(*o.PathPart) == isGreedy(part) {
			return nil, badRequest("A sibling (%s) of this resource already has a variable path part -- only one is allowed", *o.PathPart)
		}
	}
	return new(strings.TrimSuffix(*parent.Path, "/") + "/" + part), nil
}

func isVariable(part string) bool { return strings.HasPrefix(part, "{") }
func isGreedy(part string) bool   { return strings.HasSuffix(part, "+}") }

// resource reads a resource's row. As on AWS an unknown API is an unknown resource.
func (s *Service) resource(ctx context.Context, r kv.Reader, c cloud.Caller, api, id *string) (*Resource, error) {
	var res Resource
	found, err := kv.GetRow(ctx, r, partKey(c, cloud.Val(api), "resource", cloud.Val(id)), &res)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, notFound("Invalid Resource identifier specified")
	}
	return &res, nil
}

// methodsOf reads the methods of one resource; bare leaves them empty, as replies without embed show them.
func (s *Service) methodsOf(ctx context.Context, r kv.Reader, c cloud.Caller, api, resource string, bare bool) (map[string]Method, error) {
	methods, err := scan[Method](ctx, r, partRange(c, api, "method", resource))
	if err != nil || len(methods) == 0 {
		return nil, err
	}
	out := map[string]Method{}
	for _, m := range methods {
		out[*m.HttpMethod] = m
		if bare {
			out[*m.HttpMethod] = Method{}
		}
	}
	return out, nil
}

func (s *Service) getResource(ctx context.Context, c cloud.Caller, in *GetResourceInput) (out *Resource, err error) {
	err = s.kv.View(ctx, func(r kv.Reader) error {
		if out, err = s.resource(ctx, r, c, in.RestApiId, in.ResourceId); err != nil {
			return err
		}
		out.ResourceMethods, err = s.methodsOf(ctx, r, c, *in.RestApiId, *out.Id, !slices.Contains(in.Embed, "methods"))
		return err
	})
	return out, err
}

func (s *Service) getResources(ctx context.Context, c cloud.Caller, in *GetResourcesInput) (*Resources, error) {
	out := &Resources{}
	err := s.kv.View(ctx, func(r kv.Reader) error {
		if _, err := s.api(ctx, r, c, in.RestApiId); err != nil {
			return err
		}
		all, err := scan[Resource](ctx, r, partRange(c, *in.RestApiId, "resource"))
		if err != nil {
			return err
		}
		out.Items, out.Position, err = page(all, func(r *Resource) string { return *r.Id }, in.Position, in.Limit)
		if err != nil {
			return err
		}
		bare := !slices.Contains(in.Embed, "methods")
		for i := range out.Items {
			o := &out.Items[i]
			if o.ResourceMethods, err = s.methodsOf(ctx, r, c, *in.RestApiId, *o.Id, bare); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func (s *Service) updateResource(ctx context.Context, c cloud.Caller, in *UpdateResourceInput) (out *Resource, err error) {
	err = s.kv.Update(ctx, func(tx *kv.Tx) error {
		res, err := s.resource(ctx, tx, c, in.RestApiId, in.ResourceId)
		if err != nil {
			return err
		}
		out = res
		from := *res.Path
		t := target{"/pathPart": replaceStr(&res.PathPart), "/parentId": replaceStr(&res.ParentId)}
		if from == "/" {
			t["/pathPart"] = func(patch) error { return badRequest("Root resource cannot update its pathPart.") }
			t["/parentId"] = func(patch) error { return badRequest("Root resource cannot update its parentId.") }
		}
		if err := t.apply(in.PatchOperations); err != nil || from == "/" {
			return err
		}
		if !pathPart.MatchString(*res.PathPart) {
			return badRequest("Resource's path part only allow a-zA-Z0-9._-: or a valid greedy path variable and curly braces at the beginning and the end.")
		}
		return s.move(ctx, tx, c, *in.RestApiId, res)
	})
	return out, err
}

// move gives a resource the path that its parent and path part say now, and those below it theirs.
func (s *Service) move(ctx context.Context, tx *kv.Tx, c cloud.Caller, api string, res *Resource) error {
	parent, err := s.resource(ctx, tx, c, &api, res.ParentId)
	if err != nil {
		return err
	}
	from := *res.Path
	if *parent.Path == from || strings.HasPrefix(*parent.Path, from+"/") {
		return badRequest("Resource cannot be its own parent or ancestor.")
	}
	path, err := s.placeFor(ctx, tx, c, api, parent, *res.PathPart, *res.Id)
	if err != nil {
		return err
	}
	below, err := s.below(ctx, tx, c, api, from)
	if err != nil {
		return err
	}
	if len(below) > 0 && isGreedy(*res.PathPart) {
		return badRequest("Cannot create a child of a resource with a greedy path variable.")
	}
	for _, d := range below {
		d.Path = new(*path + strings.TrimPrefix(*d.Path, from))
		if err := kv.PutRow(tx, partKey(c, api, "resource", *d.Id), &d); err != nil {
			return err
		}
	}
	res.Path = path
	return kv.PutRow(tx, partKey(c, api, "resource", *res.Id), res)
}

// below returns the resources under a path.
func (s *Service) below(ctx context.Context, r kv.Reader, c cloud.Caller, api, path string) ([]Resource, error) {
	all, err := scan[Resource](ctx, r, partRange(c, api, "resource"))
	return slices.DeleteFunc(all, func(o Resource) bool { return !strings.HasPrefix(*o.Path, path+"/") }), err
}

func (s *Service) deleteResource(ctx context.Context, c cloud.Caller, in *DeleteResourceInput) (*DeleteResourceOutput, error) {
	err := s.kv.Update(ctx, func(tx *kv.Tx) error {
		res, err := s.resource(ctx, tx, c, in.RestApiId, in.ResourceId)
		if err != nil {
			return err
		}
		if *res.Path == "/" {
			return badRequest("Root resource cannot be deleted.")
		}
		gone, err := s.below(ctx, tx, c, *in.RestApiId, *res.Path)
		if err != nil {
			return err
		}
		for _, d := range append(gone, *res) {
			tx.Delete(partKey(c, *in.RestApiId, "resource", *d.Id))
			methods := partRange(c, *in.RestApiId, "method", *d.Id)
			tx.DeleteRange(methods.Begin, methods.End)
		}
		return nil
	})
	return &DeleteResourceOutput{}, err
}
