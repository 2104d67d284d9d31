package s3

import (
	"context"

	"lambent/cloud"
)

// What S3 can also do with a bucket, and this service does not: the Gets answer as AWS does for a bucket where
// nothing of it was set up (Terraform reads them all after each create), the Deletes have nothing to remove,
// and the Puts refuse what they would otherwise keep without ever acting on it.

// unset checks that the bucket may be read, then says that it has no such configuration.
func (s *Service) unset(ctx context.Context, c cloud.Caller, name, owner *string, code, message string) error {
	if _, err := s.viewBucket(ctx, c, name, owner); err != nil {
		return err
	}
	return fault(404, code, detail{BucketName: name}, "%s", message)
}

// refuse checks that the bucket is there, then refuses to configure what.
func (s *Service) refuse(ctx context.Context, c cloud.Caller, name, owner *string, what string) error {
	if _, err := s.viewBucket(ctx, c, name, owner); err != nil {
		return err
	}
	return notImplemented("%s is not implemented", what)
}

func (s *Service) getBucketCors(ctx context.Context, c cloud.Caller, in *GetBucketCorsInput) (*GetBucketCorsOutput, error) {
	return nil, s.unset(ctx, c, in.Bucket, in.ExpectedBucketOwner, "NoSuchCORSConfiguration", "The CORS configuration does not exist")
}

func (s *Service) putBucketCors(ctx context.Context, c cloud.Caller, in *PutBucketCorsInput) (*PutBucketCorsOutput, error) {
	return nil, s.refuse(ctx, c, in.Bucket, in.ExpectedBucketOwner, "a bucket's CORS configuration")
}

func (s *Service) deleteBucketCors(ctx context.Context, c cloud.Caller, in *DeleteBucketCorsInput) (*DeleteBucketCorsOutput, error) {
	_, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	return &DeleteBucketCorsOutput{}, err
}

func (s *Service) getBucketWebsite(ctx context.Context, c cloud.Caller, in *GetBucketWebsiteInput) (*GetBucketWebsiteOutput, error) {
	return nil, s.unset(ctx, c, in.Bucket, in.ExpectedBucketOwner, "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration")
}

func (s *Service) putBucketWebsite(ctx context.Context, c cloud.Caller, in *PutBucketWebsiteInput) (*PutBucketWebsiteOutput, error) {
	return nil, s.refuse(ctx, c, in.Bucket, in.ExpectedBucketOwner, "a bucket as a website")
}

func (s *Service) deleteBucketWebsite(ctx context.Context, c cloud.Caller, in *DeleteBucketWebsiteInput) (*DeleteBucketWebsiteOutput, error) {
	_, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	return &DeleteBucketWebsiteOutput{}, err
}

func (s *Service) getBucketLifecycleConfiguration(ctx context.Context, c cloud.Caller, in *GetBucketLifecycleConfigurationInput) (*GetBucketLifecycleConfigurationOutput, error) {
	return nil, s.unset(ctx, c, in.Bucket, in.ExpectedBucketOwner, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
}

func (s *Service) putBucketLifecycleConfiguration(ctx context.Context, c cloud.Caller, in *PutBucketLifecycleConfigurationInput) (*PutBucketLifecycleConfigurationOutput, error) {
	return nil, s.refuse(ctx, c, in.Bucket, in.ExpectedBucketOwner, "a bucket's lifecycle configuration")
}

func (s *Service) deleteBucketLifecycle(ctx context.Context, c cloud.Caller, in *DeleteBucketLifecycleInput) (*DeleteBucketLifecycleOutput, error) {
	_, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	return &DeleteBucketLifecycleOutput{}, err
}

func (s *Service) getBucketReplication(ctx context.Context, c cloud.Caller, in *GetBucketReplicationInput) (*GetBucketReplicationOutput, error) {
	return nil, s.unset(ctx, c, in.Bucket, in.ExpectedBucketOwner, "ReplicationConfigurationNotFoundError", "The replication configuration was not found")
}

func (s *Service) putBucketReplication(ctx context.Context, c cloud.Caller, in *PutBucketReplicationInput) (*PutBucketReplicationOutput, error) {
	return nil, s.refuse(ctx, c, in.Bucket, in.ExpectedBucketOwner, "replication")
}

func (s *Service) deleteBucketReplication(ctx context.Context, c cloud.Caller, in *DeleteBucketReplicationInput) (*DeleteBucketReplicationOutput, error) {
	_, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	return &DeleteBucketReplicationOutput{}, err
}

func (s *Service) getBucketLogging(ctx context.Context, c cloud.Caller, in *GetBucketLoggingInput) (*GetBucketLoggingOutput, error) {
	_, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	return &GetBucketLoggingOutput{}, err
}

// putBucketLogging answers PutBucketLogging: an empty status turns logging off, and it is off.
func (s *Service) putBucketLogging(ctx context.Context, c cloud.Caller, in *PutBucketLoggingInput) (*PutBucketLoggingOutput, error) {
	if in.BucketLoggingStatus.LoggingEnabled != nil {
		return nil, s.refuse(ctx, c, in.Bucket, in.ExpectedBucketOwner, "access logging")
	}
	_, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	return &PutBucketLoggingOutput{}, err
}

func (s *Service) getBucketNotificationConfiguration(ctx context.Context, c cloud.Caller, in *GetBucketNotificationConfigurationRequest) (*NotificationConfiguration, error) {
	_, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	return &NotificationConfiguration{}, err
}

// putBucketNotificationConfiguration answers PutBucketNotificationConfiguration: nothing may be asked for.
func (s *Service) putBucketNotificationConfiguration(ctx context.Context, c cloud.Caller, in *PutBucketNotificationConfigurationInput) (*PutBucketNotificationConfigurationOutput, error) {
	n := in.NotificationConfiguration
	if len(n.TopicConfigurations)+len(n.QueueConfigurations)+len(n.LambdaFunctionConfigurations) > 0 || n.EventBridgeConfiguration != nil {
		return nil, s.refuse(ctx, c, in.Bucket, in.ExpectedBucketOwner, "event notification")
	}
	_, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	return &PutBucketNotificationConfigurationOutput{}, err
}

func (s *Service) getBucketAccelerateConfiguration(ctx context.Context, c cloud.Caller, in *GetBucketAccelerateConfigurationInput) (*GetBucketAccelerateConfigurationOutput, error) {
	_, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	return &GetBucketAccelerateConfigurationOutput{}, err
}

func (s *Service) putBucketAccelerateConfiguration(ctx context.Context, c cloud.Caller, in *PutBucketAccelerateConfigurationInput) (*PutBucketAccelerateConfigurationOutput, error) {
	return nil, s.refuse(ctx, c, in.Bucket, in.ExpectedBucketOwner, "transfer acceleration")
}

func (s *Service) getBucketRequestPayment(ctx context.Context, c cloud.Caller, in *GetBucketRequestPaymentInput) (*GetBucketRequestPaymentOutput, error) {
	_, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
	return &GetBucketRequestPaymentOutput{Payer: new("BucketOwner")}, err
}

// putBucketRequestPayment answers PutBucketRequestPayment: the owner pays, and may say so.
func (s *Service) putBucketRequestPayment(ctx context.Context, c cloud.Caller, in *PutBucketRequestPaymentInput) (*PutBucketRequestPaymentOutput, error) {
	switch cloud.Val(in.RequestPaymentConfiguration.Payer) {
	case "BucketOwner":
		_, err := s.viewBucket(ctx, c, in.Bucket, in.ExpectedBucketOwner)
		return &PutBucketRequestPaymentOutput{}, err
	case "Requester":
		return nil, s.refuse(ctx, c, in.Bucket, in.ExpectedBucketOwner, "requester pays")
	}
	return nil, malformedXML()
}

func (s *Service) getObjectLockConfiguration(ctx context.Context, c cloud.Caller, in *GetObjectLockConfigurationInput) (*GetObjectLockConfigurationOutput, error) {
	return nil, s.unset(ctx, c, in.Bucket, in.ExpectedBucketOwner, "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")
}

func (s *Service) putObjectLockConfiguration(ctx context.Context, c cloud.Caller, in *PutObjectLockConfigurationInput) (*PutObjectLockConfigurationOutput, error) {
	return nil, s.refuse(ctx, c, in.Bucket, in.ExpectedBucketOwner, "S3 Object Lock")
}

// unlocked is what S3 answers to a question about locks in a bucket without them.
func (s *Service) unlocked(ctx context.Context, c cloud.Caller, l lookup) error {
	if _, err := s.find(ctx, c, l); err != nil {
		return err
	}
	return invalidRequest("Bucket is missing Object Lock Configuration")
}

func (s *Service) getObjectRetention(ctx context.Context, c cloud.Caller, in *GetObjectRetentionInput) (*GetObjectRetentionOutput, error) {
	return nil, s.unlocked(ctx, c, lookup{in.Bucket, in.Key, in.ExpectedBucketOwner, in.VersionId, "GET", false})
}

func (s *Service) putObjectRetention(ctx context.Context, c cloud.Caller, in *PutObjectRetentionInput) (*PutObjectRetentionOutput, error) {
	return nil, s.unlocked(ctx, c, lookup{in.Bucket, in.Key, in.ExpectedBucketOwner, in.VersionId, "PUT", false})
}

func (s *Service) getObjectLegalHold(ctx context.Context, c cloud.Caller, in *GetObjectLegalHoldInput) (*GetObjectLegalHoldOutput, error) {
	return nil, s.unlocked(ctx, c, lookup{in.Bucket, in.Key, in.ExpectedBucketOwner, in.VersionId, "GET", false})
}

func (s *Service) putObjectLegalHold(ctx context.Context, c cloud.Caller, in *PutObjectLegalHoldInput) (*PutObjectLegalHoldOutput, error) {
	return nil, s.unlocked(ctx, c, lookup{in.Bucket, in.Key, in.ExpectedBucketOwner, in.VersionId, "PUT", false})
}
