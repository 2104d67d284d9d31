// Package fault reads a cloud.Fault together with what the API model says of it: the codecs share it.
package fault

import (
	"fmt"
	"reflect"
	"strings"

	"lambent/cloud"
	"lambent/service"
	"lambent/wire/plan"
)

// A View is what a codec writes of a fault.
type View struct {
	Name        string // shape name: what JSON protocols call it
	Code        string // what XML and query protocols call it
	Status      int
	Sender      bool   // the client is to blame
	Message     string // may be ""
	MessageName string // what the model calls the message on the wire, "" where it has none

	Detail  plan.Slot // further members; only where HasMore
	HasMore bool
}

// Of looks f up in the model. A fault that the model does not know goes by its own code, with status 400.
func Of(api *service.API, f *cloud.Fault) View {
	v := View{Name: f.Code, Code: f.Code, Status: f.Status, Message: f.Message}
	var shape reflect.Type
	if m := model(api, f.Code); m != nil {
		shape = m.Type
		v.Sender = m.Sender
		if m.Code != "" {
			v.Code = m.Code
		}
		if v.Status == 0 {
			v.Status = m.Status
		}
	} else {
		v.Sender = f.Status < 500
	}
	if v.Status == 0 {
		v.Status = 400
	}
	v.detail(f.Detail, shape)
	return v
}

// QueryError is what X-Amzn-Query-Error holds for clients that once spoke awsQuery to the service.
func (v View) QueryError() string {
	if v.Sender {
		return v.Code + ";Sender"
	}
	return v.Code + ";Receiver"
}

func model(api *service.API, code string) *service.ErrorModel {
	if api == nil {
		return nil
	}
	for i := range api.Errors {
		if e := &api.Errors[i]; e.Name == code || e.Code == code && code != "" {
			return e
		}
	}
	return nil
}

// detail finds the message's name, and opens the further members.
func (v *View) detail(detail any, shape reflect.Type) {
	if s, err := plan.Open(detail); detail != nil && err == nil {
		v.Detail, v.HasMore = s, true
		if m := message(s.Type()); m != nil {
			v.MessageName = m.Wire
			if text, ok := s.Get(m); ok && v.Message == "" {
				v.Message = text.String()
			}
		}
		return
	}
	if shape == nil {
		return
	}
	if t, err := plan.Of(shape); err == nil {
		if m := message(t); m != nil {
			v.MessageName = m.Wire
		}
	}
}

func message(t *plan.Type) *plan.Member {
	for _, m := range t.Members {
		if strings.EqualFold(m.Name, "message") && m.Type.Kind == plan.String {
			return m
		}
	}
	return nil
}

// Detail returns a value of the fault's shape with its message in it: f.Detail where that is one, else a new one.
func Detail(shape *plan.Type, f *cloud.Fault) (plan.Slot, error) {
	v := f.Detail
	if v == nil {
		v = reflect.New(shape.Go).Interface()
	}
	s, err := plan.Open(v)
	if err != nil {
		return s, err
	}
	if s.Type() != shape {
		return s, fmt.Errorf("detail of the fault %s is a %s", f.Code, s.Type().Shape)
	}
	if m := message(shape); m != nil && f.Message != "" {
		s.Make(m, nil).SetString(f.Message)
	}
	return s, nil
}
