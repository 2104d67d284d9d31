package gateway

import (
	"encoding/json"
	"net/http"

	"lambent/cloud"
	"lambent/service"
	"lambent/wire"
)

// errorModel returns what the model says of the error, nil when it does not know it.
func errorModel(api *service.API, code string) *service.ErrorModel {
	for i := range api.Errors {
		if api.Errors[i].Name == code {
			return &api.Errors[i]
		}
	}
	return nil
}

// plainFault words a fault where no codec speaks the client's protocol.
func plainFault(f *cloud.Fault) *wire.Response {
	body, err := json.Marshal(map[string]string{"__type": f.Code, "message": f.Message})
	if err != nil {
		body = []byte("{}")
	}
	status := f.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	return &wire.Response{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}
}
