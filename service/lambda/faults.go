package lambda

import (
	"lambent/cloud"
)

// The errors of Lambda carry a Type beside their message: whose fault it is.

func notFound(format string, args ...any) *cloud.Fault {
	f := cloud.Faultf("ResourceNotFoundException", format, args...)
	f.Detail = &ResourceNotFoundException{Type: new("User"), Message: new(f.Message)}
	return f
}

func functionNotFound(arn string) *cloud.Fault { return notFound("Function not found: %s", arn) }

func invalid(format string, args ...any) *cloud.Fault {
	f := cloud.Faultf("InvalidParameterValueException", format, args...)
	f.Detail = &InvalidParameterValueException{Type: new("User"), Message: new(f.Message)}
	return f
}

func conflict(format string, args ...any) *cloud.Fault {
	f := cloud.Faultf("ResourceConflictException", format, args...)
	f.Detail = &ResourceConflictException{Type: new("User"), Message: new(f.Message)}
	return f
}

func preconditionFailed(format string, args ...any) *cloud.Fault {
	f := cloud.Faultf("PreconditionFailedException", format, args...)
	f.Detail = &PreconditionFailedException{Type: new("User"), Message: new(f.Message)}
	return f
}

const wrongRevision = "The Revision Id provided does not match the latest Revision Id. Call the %s API to retrieve the latest Revision Id"

// checkRevision holds a change against the revision that the client has seen.
func checkRevision(given *string, latest, api string) error {
	if given != nil && *given != latest {
		return preconditionFailed(wrongRevision, api)
	}
	return nil
}

func validation(format string, args ...any) *cloud.Fault {
	return cloud.Faultf("ValidationException", "1 validation error detected: "+format, args...).WithStatus(400)
}

func tooManyRequests(reason string) *cloud.Fault {
	f := cloud.Faultf("TooManyRequestsException", "Rate Exceeded.")
	f.Detail = &TooManyRequestsException{Type: new("User"), Message: new(f.Message), Reason: new(reason)}
	return f
}

func badContent(format string, args ...any) *cloud.Fault {
	f := cloud.Faultf("InvalidRequestContentException", format, args...)
	f.Detail = &InvalidRequestContentException{Type: new("User"), Message: new(f.Message)}
	return f
}
