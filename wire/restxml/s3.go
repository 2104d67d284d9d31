package restxml

import (
	"crypto/sha512"
	"encoding/base64"

	"lambent/service"
	"lambent/wire/plan"
	"lambent/wire/xmlbody"
)

// S3 writes its errors without the ErrorResponse around them, its times always with milliseconds, checks
// request bodies against a schema, and has request ids of its own. Its Smithy model says so with traits; the
// form of the model that we have names neither the namespace nor the roots of replies.

func isS3(api *service.API) bool { return api != nil && api.ServiceID == "S3" }

func namespace(api *service.API) string {
	switch {
	case api == nil:
		return ""
	case api.XMLNamespace == "" && isS3(api):
		return "http://s3.amazonaws.com/doc/2006-03-01/"
	}
	return api.XMLNamespace
}

// s3Roots are the root elements of replies that are not called as their shapes.
var s3Roots = map[string]string{
	"CompleteMultipartUploadOutput":           "CompleteMultipartUploadResult",
	"CreateMultipartUploadOutput":             "InitiateMultipartUploadResult",
	"CreateSessionOutput":                     "CreateSessionResult",
	"DeleteObjectsOutput":                     "DeleteResult",
	"GetBucketAccelerateConfigurationOutput":  "AccelerateConfiguration",
	"GetBucketAclOutput":                      "AccessControlPolicy",
	"GetBucketCorsOutput":                     "CORSConfiguration",
	"GetBucketLifecycleConfigurationOutput":   "LifecycleConfiguration",
	"GetBucketLifecycleOutput":                "LifecycleConfiguration",
	"GetBucketLoggingOutput":                  "BucketLoggingStatus",
	"GetBucketRequestPaymentOutput":           "RequestPaymentConfiguration",
	"GetBucketTaggingOutput":                  "Tagging",
	"GetBucketVersioningOutput":               "VersioningConfiguration",
	"GetBucketWebsiteOutput":                  "WebsiteConfiguration",
	"GetObjectAclOutput":                      "AccessControlPolicy",
	"GetObjectAttributesOutput":               "GetObjectAttributesResponse",
	"GetObjectTaggingOutput":                  "Tagging",
	"ListBucketAnalyticsConfigurationsOutput": "ListBucketAnalyticsConfigurationResult",
	"ListBucketInventoryConfigurationsOutput": "ListInventoryConfigurationsResult",
	"ListBucketMetricsConfigurationsOutput":   "ListMetricsConfigurationsResult",
	"ListBucketsOutput":                       "ListAllMyBucketsResult",
	"ListDirectoryBucketsOutput":              "ListAllMyDirectoryBucketsResult",
	"ListMultipartUploadsOutput":              "ListMultipartUploadsResult",
	"ListObjectVersionsOutput":                "ListVersionsResult",
	"ListObjectsOutput":                       "ListBucketResult",
	"ListObjectsV2Output":                     "ListBucketResult",
	"ListPartsOutput":                         "ListPartsResult",
}

// unwrapped returns the member that is the root element of the operation's reply, without the structure
// around it (the trait s3UnwrappedXmlOutput), or "".
func unwrapped(api *service.API, op *service.OperationModel) string {
	if isS3(api) && op.Name == "GetBucketLocation" {
		return "LocationConstraint"
	}
	return ""
}

// writeUnwrapped writes the member; one that is not set is an empty element.
func writeUnwrapped(w *xmlbody.Writer, member string, ns plan.Namespace, s plan.Slot) {
	if m := s.Type().Member(member); m != nil {
		if v, ok := s.Get(m); ok {
			w.Element(member, ns, v)
			return
		}
	}
	w.Open(member, ns)
	w.Close(member)
}

// hostID stands where AWS names the machine that answered. Clients only carry it into bug reports.
func hostID(requestID string) string {
	sum := sha512.Sum512([]byte(requestID))
	return base64.StdEncoding.EncodeToString(sum[:57])
}
