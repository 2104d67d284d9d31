package cloudformation

import "slices"

// resourceTypes is the table of the types that exist. Add a type by adding it to the list in its service's
// file, a service by adding its list here.
func resourceTypes() []*resourceType {
	return slices.Concat(apiGatewayTypes(), apiGatewayV2Types(), eventsTypes(), iamTypes(), lambdaTypes(), logsTypes(), s3Types())
}
