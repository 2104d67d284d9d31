package s3

import (
	"fmt"

	"lambent/cloud"
)

// detail holds the elements that S3 puts into its error documents beside Code and Message. The API
// model names none of them; clients and their tests read them all the same.
type detail struct {
	BucketName            *string
	Key                   *string
	VersionId             *string
	UploadId              *string
	PartNumber            *int64
	ETag                  *string
	ArgumentName          *string
	ArgumentValue         *string
	Condition             *string
	Header                *string
	AdditionalMessage     *string `name:"additionalMessage"`
	Method                *string
	ResourceType          *string
	LocationConstraint    *string
	RangeRequested        *string
	ActualObjectSize      *int64
	PartNumberRequested   *int64
	ActualPartCount       *int64
	ProposedSize          *int64
	MinSizeAllowed        *int64
	MaxSizeAllowed        *int64
	StorageClass          *string
	StorageClassRequested *string
	TagKey                *string
	TagValue              *string
	ExpectedDigest        *string
	CalculatedDigest      *string
	MissingHeaderName     *string

	DeleteMarker    *bool   `wire:"x-amz-delete-marker" in:"header"`
	MarkerVersionId *string `wire:"x-amz-version-id" in:"header"`
	Allow           *string `wire:"Allow" in:"header"`
}

func fault(status int, code string, d detail, format string, args ...any) *cloud.Fault {
	return &cloud.Fault{Code: code, Message: fmt.Sprintf(format, args...), Status: status, Detail: &d}
}

func noSuchBucket(name string) error {
	return fault(404, "NoSuchBucket", detail{BucketName: &name}, "The specified bucket does not exist")
}

func noSuchKey(key string) error {
	return fault(404, "NoSuchKey", detail{Key: &key}, "The specified key does not exist.")
}

func noSuchVersion(key, version string) error {
	return fault(404, "NoSuchVersion", detail{Key: &key, VersionId: &version}, "The specified version does not exist.")
}

func noSuchUpload(id string) error {
	return fault(404, "NoSuchUpload", detail{UploadId: &id},
		"The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
}

func accessDenied() error { return fault(403, "AccessDenied", detail{}, "Access Denied") }

func invalidRequest(format string, args ...any) error {
	return fault(400, "InvalidRequest", detail{}, format, args...)
}

func invalidArgument(name, value, format string, args ...any) error {
	return fault(400, "InvalidArgument", detail{ArgumentName: &name, ArgumentValue: &value}, format, args...)
}

func malformedXML() error {
	return fault(400, "MalformedXML", detail{}, "The XML you provided was not well-formed or did not validate against our published schema")
}

func preconditionFailed(condition string) error {
	return fault(412, "PreconditionFailed", detail{Condition: &condition}, "At least one of the pre-conditions you specified did not hold")
}

// notImplemented refuses what would otherwise be accepted and then do nothing.
func notImplemented(format string, args ...any) error {
	return fault(501, "NotImplemented", detail{}, format, args...)
}

// headerNotImplemented is S3's own answer to a header that it does not take in this place.
func headerNotImplemented(header, more string) error {
	d := detail{Header: &header}
	if more != "" {
		d.AdditionalMessage = &more
	}
	return fault(501, "NotImplemented", d, "A header you provided implies functionality that is not implemented")
}

// methodNotAllowed is the answer to touching a delete marker as if it were an object.
func methodNotAllowed(method, version string) error {
	return fault(405, "MethodNotAllowed", detail{
		Method: &method, ResourceType: new("DeleteMarker"), Allow: new("DELETE"),
		DeleteMarker: new(true), MarkerVersionId: &version,
	}, "The specified method is not allowed against this resource.")
}
