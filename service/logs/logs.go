// Package logs is CloudWatch Logs: groups, streams and the events in them, written by clients and by the
// cloud's own functions, read back in order of time.
//
// # What is stored
//
// See keys.go. An event's key holds its stream, its timestamp and the commit's stamp, so a stream reads in
// order of time and, within a millisecond, in order of arrival. Events that have outlived their group's
// retention are not shown any more and are removed by Run.
//
// # Where it differs from AWS
//
// StoredBytes of a group is exact and current; AWS leaves out what arrived lately. Sequence tokens are
// accepted and ignored, as AWS has done since 2023. Subscription and metric filters are not implemented.
package logs

import (
	"context"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/service"
)

// Service answers the operations of CloudWatch Logs.
type Service struct {
	kv *kv.Store
}

// New returns the service with its rows in store.
func New(store *kv.Store) *Service { return &Service{kv: store} }

// Service lists the operations.
func (s *Service) Service() service.Service {
	group := func(c cloud.Caller, name *string) []string {
		return []string{groupARN(c, cloud.Val(name)) + ":*"}
	}
	return service.Service{
		API: apiModel(),
		Operations: []service.Operation{
			service.On(service.Op("CreateLogGroup", s.createLogGroup), func(c cloud.Caller, in *CreateLogGroupInput) []string { return group(c, in.LogGroupName) }),
			service.On(service.Op("DeleteLogGroup", s.deleteLogGroup), func(c cloud.Caller, in *DeleteLogGroupInput) []string { return group(c, in.LogGroupName) }),
			service.Op("DescribeLogGroups", s.describeLogGroups),
			service.Op("ListLogGroups", s.listLogGroups),
			service.On(service.Op("PutRetentionPolicy", s.putRetentionPolicy), func(c cloud.Caller, in *PutRetentionPolicyInput) []string { return group(c, in.LogGroupName) }),
			service.On(service.Op("DeleteRetentionPolicy", s.deleteRetentionPolicy), func(c cloud.Caller, in *DeleteRetentionPolicyInput) []string { return group(c, in.LogGroupName) }),
			service.On(service.Op("PutLogGroupDeletionProtection", s.putLogGroupDeletionProtection), func(c cloud.Caller, in *PutLogGroupDeletionProtectionInput) []string {
				return []string{groupARN(c, nameOf(cloud.Val(in.LogGroupIdentifier))) + ":*"}
			}),
			service.On(service.Op("CreateLogStream", s.createLogStream), func(c cloud.Caller, in *CreateLogStreamInput) []string { return group(c, in.LogGroupName) }),
			service.On(service.Op("DeleteLogStream", s.deleteLogStream), func(c cloud.Caller, in *DeleteLogStreamInput) []string { return group(c, in.LogGroupName) }),
			service.On(service.Op("DescribeLogStreams", s.describeLogStreams), func(c cloud.Caller, in *DescribeLogStreamsInput) []string {
				return []string{groupARN(c, nameOf(cloud.Or(in.LogGroupName, cloud.Val(in.LogGroupIdentifier)))) + ":*"}
			}),
			service.On(service.Op("PutLogEvents", s.putLogEvents), func(c cloud.Caller, in *PutLogEventsInput) []string {
				return []string{groupARN(c, cloud.Val(in.LogGroupName)) + ":log-stream:" + cloud.Val(in.LogStreamName)}
			}),
			service.On(service.Op("GetLogEvents", s.getLogEvents), func(c cloud.Caller, in *GetLogEventsInput) []string {
				return []string{groupARN(c, nameOf(cloud.Or(in.LogGroupName, cloud.Val(in.LogGroupIdentifier)))) + ":log-stream:" + cloud.Val(in.LogStreamName)}
			}),
			service.On(service.Op("FilterLogEvents", s.filterLogEvents), func(c cloud.Caller, in *FilterLogEventsInput) []string {
				return []string{groupARN(c, nameOf(cloud.Or(in.LogGroupName, cloud.Val(in.LogGroupIdentifier)))) + ":*"}
			}),
			service.On(service.Op("TagLogGroup", s.tagLogGroup), func(c cloud.Caller, in *TagLogGroupInput) []string { return group(c, in.LogGroupName) }),
			service.On(service.Op("UntagLogGroup", s.untagLogGroup), func(c cloud.Caller, in *UntagLogGroupInput) []string { return group(c, in.LogGroupName) }),
			service.On(service.Op("ListTagsLogGroup", s.listTagsLogGroup), func(c cloud.Caller, in *ListTagsLogGroupInput) []string { return group(c, in.LogGroupName) }),
			service.On(service.Op("TagResource", s.tagResource), func(_ cloud.Caller, in *TagResourceInput) []string { return []string{cloud.Val(in.ResourceArn)} }),
			service.On(service.Op("UntagResource", s.untagResource), func(_ cloud.Caller, in *UntagResourceInput) []string { return []string{cloud.Val(in.ResourceArn)} }),
			service.On(service.Op("ListTagsForResource", s.listTagsForResource), func(_ cloud.Caller, in *ListTagsForResourceInput) []string {
				return []string{cloud.Val(in.ResourceArn)}
			}),
			service.On(service.Op("DescribeSubscriptionFilters", s.describeSubscriptionFilters), func(c cloud.Caller, in *DescribeSubscriptionFiltersInput) []string {
				return group(c, in.LogGroupName)
			}),
		},
	}
}

// sweepEvery is the time between two rounds that remove expired events.
const sweepEvery = time.Hour

// Run removes expired events until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := s.sweep(ctx, time.Now()); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}
