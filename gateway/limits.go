package gateway

import "time"

// Limits of what a client may ask of the gateway before an operation runs.
const (
	maxBody         = 16 << 20 // a body that is read whole, unless largeBodies says otherwise
	maxUnsignedBody = 1 << 20  // the same where no known key stands behind the request
	maxHeader       = 64 << 10

	headerTimeout = 10 * time.Second  // for the request's head, and for the first byte of a connection
	idleTimeout   = 120 * time.Second // of a kept-alive connection
	bodyTimeout   = 60 * time.Second  // without any byte of the body read or of the reply taken
	maxGreetings  = 1024              // connections whose first byte has not come yet
)

// largeBodies lists the operations whose input may be larger than maxBody. Lambda takes 50 MB of zip,
// which is 70,167,211 bytes of request by its own account.
var largeBodies = map[string]int64{
	"lambda:CreateFunction":      70167211,
	"lambda:UpdateFunctionCode":  70167211,
	"lambda:PublishLayerVersion": 70167211,
	"ecr:UploadLayerPart":        32 << 20,
}

func bodyLimit(service, operation string) int64 {
	if n, ok := largeBodies[service+":"+operation]; ok {
		return n
	}
	return maxBody
}
