package apigateway

import (
	"crypto/rand"

	"lambent/cloud"
	"lambent/kv"
)

// Keys. Everything of one API but its own row stands under "part", so that one range holds it all.
//
//	account region "account"                          → Account
//	account region "api" id                           → RestApi
//	account region "part" id "resource" rid           → Resource without methods
//	account region "part" id "method" rid verb        → Method with integration and responses
//	account region "part" id "deployment" did         → Deployment
//	account region "part" id "snapshot" did           → snapshotRow: the API's settings when it was deployed
//	account region "part" id "snapshot" did rid verb  → snapshotMethod
//	account region "part" id "stage" name             → Stage
//	account region "part" id "response" type          → GatewayResponse
//	account region "part" id "validator" vid          → RequestValidator
//	account region "part" id "model" name             → Model
//	"home" id                                         → homeRow: where an API is, for requests that name it alone

func accountKey(c cloud.Caller) []byte { return kv.Key(c.Account, c.Region, "account") }

func apiKey(c cloud.Caller, id string) []byte { return kv.Key(c.Account, c.Region, "api", id) }

func apiRange(c cloud.Caller) kv.Range { return kv.Prefix(c.Account, c.Region, "api") }

func partKey(c cloud.Caller, id string, parts ...any) []byte {
	return kv.Key(append([]any{c.Account, c.Region, "part", id}, parts...)...)
}

func partRange(c cloud.Caller, id string, parts ...any) kv.Range {
	return kv.Prefix(append([]any{c.Account, c.Region, "part", id}, parts...)...)
}

func homeKey(id string) []byte { return kv.Key("home", id) }

// A homeRow says whose an API is.
type homeRow struct{ Account, Region string }

// newID returns n random lower-case letters and digits, API Gateway's form of identifiers.
func newID(n int) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	random := make([]byte, 2*n)
	id := make([]byte, 0, n)
	for len(id) < n {
		_, _ = rand.Read(random) // never fails
		for _, b := range random {
			if int(b) < 256-256%len(alphabet) && len(id) < n { // no letter more likely than another
				id = append(id, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(id)
}
