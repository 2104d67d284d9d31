package gateway

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"lambent/service"
	"lambent/wire"
	"lambent/wire/plan"
)

// A directory is the tables by which rooms and operations are found. It does not change after New.
type directory struct {
	rooms     []*room
	byName    map[string]*room   // folder name
	byTarget  map[string]*room   // TargetPrefix
	bySigning map[string][]*room // service in the credential scope
	byLabel   map[string]*room   // host label: "lambda", "api.ecr"
	queries   map[string]*room   // "Version/Action" of the query protocols
	s3        *room
	endpoints []*service.Endpoint
}

// A room is one service with its operations found by name and, for the REST protocols, by request.
type room struct {
	api        *service.API
	operations map[string]*operation
	routes     *node // nil without REST bindings
	family     family
}

// An operation is one that the model knows, whether it is answered here or not.
type operation struct {
	room   *room
	model  *service.OperationModel
	impl   *service.Operation // nil: not implemented
	action string             // IAM action
	stream bool               // the input has a streaming member, which takes the body unread
	events bool               // the input has a stream of events
	limit  int64              // of a body that is read before the operation runs
}

func newDirectory(services []service.Service) (directory, error) {
	d := directory{
		byName: map[string]*room{}, byTarget: map[string]*room{}, bySigning: map[string][]*room{},
		byLabel: map[string]*room{}, queries: map[string]*room{},
	}
	for i := range services {
		s := &services[i]
		r, err := newRoom(s)
		if err != nil {
			return d, err
		}
		if d.byName[s.API.Name] != nil {
			return d, fmt.Errorf("two services are named %q", s.API.Name)
		}
		d.add(r)
		for j := range s.Endpoints {
			d.endpoints = append(d.endpoints, &s.Endpoints[j])
		}
	}
	return d, nil
}

func (d *directory) add(r *room) {
	api := r.api
	d.rooms = append(d.rooms, r)
	d.byName[api.Name] = r
	d.bySigning[api.SigningName] = append(d.bySigning[api.SigningName], r)
	if api.TargetPrefix != "" {
		d.byTarget[api.TargetPrefix] = r
	}
	if d.byLabel[api.Endpoint] == nil { // the first of two that share a host serves for both: REST routes try all
		d.byLabel[api.Endpoint] = r
	}
	if r.family == familyS3 {
		d.s3 = r
	}
	if speaks(api, service.AWSQuery) || speaks(api, service.EC2Query) {
		for name := range r.operations {
			d.queries[api.Version+"/"+name] = r
		}
	}
}

func newRoom(s *service.Service) (*room, error) {
	api := s.API
	r := &room{api: api, operations: make(map[string]*operation, len(api.Operations)), family: familyOf(api)}
	for i := range api.Operations {
		m := &api.Operations[i]
		r.operations[m.Name] = &operation{
			room: r, model: m,
			action: api.SigningName + ":" + m.Name,
			stream: hasStream(m.Input),
			events: hasEvents(m.Input),
			limit:  bodyLimit(api.Name, m.Name),
		}
	}
	for i := range s.Operations {
		impl := &s.Operations[i]
		op := r.operations[impl.Name]
		if op == nil {
			return nil, fmt.Errorf("%s: the model has no operation %q", api.Name, impl.Name)
		}
		if op.impl != nil {
			return nil, fmt.Errorf("%s: operation %q is listed twice", api.Name, impl.Name)
		}
		op.impl = impl
		if impl.Access.Action != "" {
			op.action = impl.Access.Action
		}
	}
	if speaks(api, service.RestJSON) || speaks(api, service.RestXML) {
		r.routes = &node{}
		for i := range api.Operations {
			op := r.operations[api.Operations[i].Name]
			uri, err := wire.ParseURI(op.model.URI)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", api.Name, op.model.Name, err)
			}
			r.routes.add(uri, op)
		}
	}
	return r, nil
}

func speaks(api *service.API, p service.Protocol) bool { return slices.Contains(api.Protocols, p) }

// hasStream tells whether an input has a member that takes the request's body as a stream.
func hasStream(input reflect.Type) bool {
	if input == nil {
		return false
	}
	for i := range input.NumField() {
		if _, ok := input.Field(i).Tag.Lookup("stream"); ok {
			return true
		}
	}
	return false
}

// hasEvents tells whether an input has a member that is a stream of events.
func hasEvents(input reflect.Type) bool {
	if input == nil {
		return false
	}
	for f := range input.Fields() {
		if _, ok := reflect.New(f.Type).Interface().(plan.EventStream); ok {
			return true
		}
	}
	return false
}

// requiredIn lists the required members of an input that travel in the query string or in a header, by
// the names that they have there.
func requiredIn(input reflect.Type) (query, header []string) {
	if input == nil {
		return nil, nil
	}
	for i := range input.NumField() {
		f := input.Field(i)
		if _, ok := f.Tag.Lookup("req"); !ok {
			continue
		}
		name := f.Name
		for _, key := range []string{"name", "wire"} {
			if v := f.Tag.Get(key); v != "" {
				name = v
			}
		}
		switch f.Tag.Get("in") {
		case "query":
			query = append(query, name)
		case "header":
			header = append(header, strings.ToLower(name))
		}
	}
	return query, header
}
