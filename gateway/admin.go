package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"lambent/cloud"
)

// AdminPath begins the paths of what is for the owner of the cloud alone. No bucket can have such a name.
const AdminPath = "/_lambent/"

// adminService is the service that requests to AdminPath are signed for.
const adminService = "lambent"

// serveAdmin hands a request that the root key has signed to Config.Admin.
func (x *exchange) serveAdmin() bool {
	if x.g.admin == nil || !strings.HasPrefix(x.r.URL.Path, AdminPath) || x.place.bucket != "" {
		return false
	}
	x.service, x.operation = adminService, "admin"
	x.pace()
	x.identify()
	if err := x.admitRoot(); err != nil {
		x.refuseAdmin(err)
		return true
	}
	x.w.deadlineEachWrite = true
	x.r.Body = io.NopCloser(bytes.NewReader(x.body))
	x.g.admin.ServeHTTP(x.w, x.r)
	return true
}

func (x *exchange) admitRoot() error {
	if err := x.authenticate(&target{family: familyRestJSON}); err != nil {
		return err
	}
	if !x.caller.Root || x.claim.Service != adminService {
		return cloud.Faultf("AccessDeniedException", "Only the root key, signing for the service %q, may do this", adminService).WithStatus(http.StatusForbidden)
	}
	return nil
}

// refuseAdmin says no in the way of the JSON services.
func (x *exchange) refuseAdmin(err error) {
	fault := familyRestJSON.faultOf(err, nil, x.now)
	x.code, x.cause = fault.Code, fault.Cause
	status := fault.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	x.w.Header().Set("Content-Type", "application/json")
	x.w.WriteHeader(status)
	_ = json.NewEncoder(x.w).Encode(map[string]string{"__type": fault.Code, "message": fault.Message})
}
