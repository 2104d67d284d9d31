package gateway

import "lambent/service"

// A family is a group of services that word refusals alike.
type family int

const (
	familyJSON     family = iota // awsJson, rpcv2Cbor: "...Exception", status 400
	familyRestJSON               // the same codes, status 403
	familyQuery                  // awsQuery, ec2Query and restXml but S3: no "Exception" at the end
	familyS3                     // its own codes and sentences
)

func familyOf(api *service.API) family {
	if api.Name == "s3" {
		return familyS3
	}
	return familyOfProtocol(api.Protocols[0])
}

func familyOfProtocol(p service.Protocol) family {
	switch p {
	case service.RestJSON:
		return familyRestJSON
	case service.AWSQuery, service.EC2Query, service.RestXML:
		return familyQuery
	default:
		return familyJSON
	}
}
