package plan_test

import (
	"strings"
	"testing"

	"lambent/cloud"
	"lambent/wire/plan"
)

// The lists are as AWS has sent them, for values in the order of the API models.
func TestEnumOrder(t *testing.T) {
	for name, tt := range map[string]struct {
		in   any
		want string
	}{
		// apigateway: update-rest-api-wrong-operations-on-ipAddressType
		"operations of a patch": {&struct {
			V *string `enum:"add,remove,replace,move,copy,test"`
		}{new("x")}, "add, remove, move, test, replace, copy"},
		// stepfunctions: list_executions_filter_exc
		"statuses": {&struct {
			V *string `enum:"RUNNING,SUCCEEDED,FAILED,TIMED_OUT,ABORTED,PENDING_REDRIVE"`
		}{new("x")}, "SUCCEEDED, TIMED_OUT, PENDING_REDRIVE, ABORTED, FAILED, RUNNING"},
		// apigateway: create_documentation_part_invalid_location_type
		"parts of documentation": {&struct {
			V *string `enum:"API,AUTHORIZER,MODEL,RESOURCE,METHOD,PATH_PARAMETER,QUERY_PARAMETER,REQUEST_HEADER,REQUEST_BODY,RESPONSE,RESPONSE_HEADER,RESPONSE_BODY"`
		}{new("x")}, "RESPONSE_BODY, RESPONSE, METHOD, MODEL, AUTHORIZER, RESPONSE_HEADER, RESOURCE, PATH_PARAMETER, REQUEST_BODY, QUERY_PARAMETER, API, REQUEST_HEADER"},
		// kms: create-hmac-key-invalid-spec
		"key specs": {&struct {
			V *string `enum:"RSA_2048,RSA_3072,RSA_4096,ECC_NIST_P256,ECC_NIST_P384,ECC_NIST_P521,ECC_SECG_P256K1,SYMMETRIC_DEFAULT,HMAC_224,HMAC_256,HMAC_384,HMAC_512"`
		}{new("x")}, "RSA_2048, ECC_NIST_P384, ECC_NIST_P256, ECC_NIST_P521, HMAC_384, RSA_3072, ECC_SECG_P256K1, RSA_4096, SYMMETRIC_DEFAULT, HMAC_256, HMAC_224, HMAC_512"},
		// logs: error-invalid-format
		"formats": {&struct {
			V *string `enum:"json,plain,w3c,raw,parquet"`
		}{new("x")}, "w3c, raw, json, plain, parquet"},
	} {
		f, ok := plan.Validate(tt.in, plan.Rules{}).(*cloud.Fault)
		if !ok || !strings.HasSuffix(f.Message, "enum value set: ["+tt.want+"]") {
			t.Errorf("%s: %v, want %s", name, f, tt.want)
		}
	}
}
