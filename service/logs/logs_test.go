package logs

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/kv/kvtest"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newService(t *testing.T) (*Service, cloud.Caller) {
	return New(kvtest.Mem(t)), cloud.Caller{Account: cloud.DefaultAccount, Region: "us-east-1", Root: true, Now: at}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantFault(t *testing.T, err error, code string) {
	t.Helper()
	if got := cloud.FaultCode(err); got != code {
		t.Errorf("got fault %q (%v), want %q", got, err, code)
	}
}

func TestGroups(t *testing.T) {
	s, c := newService(t)
	ctx := context.Background()
	for i := range 5 {
		must[*CreateLogGroupOutput](t)(s.createLogGroup(ctx, c, &CreateLogGroupInput{LogGroupName: new(fmt.Sprintf("/g/%d", i)), Tags: map[string]string{"n": fmt.Sprint(i)}}))
	}
	_, err := s.createLogGroup(ctx, c, &CreateLogGroupInput{LogGroupName: new("/g/1")})
	wantFault(t, err, "ResourceAlreadyExistsException")
	_, err = s.createLogGroup(ctx, c, &CreateLogGroupInput{LogGroupName: new("a b")})
	wantFault(t, err, "InvalidParameterException")

	page := must[*DescribeLogGroupsOutput](t)(s.describeLogGroups(ctx, c, &DescribeLogGroupsInput{LogGroupNamePrefix: new("/g/"), Limit: new(int32(2))}))
	if len(page.LogGroups) != 2 || *page.LogGroups[0].Arn != "arn:aws:logs:us-east-1:000000000000:log-group:/g/0:*" {
		t.Fatalf("first page: %+v", page)
	}
	var names []string
	for in := (&DescribeLogGroupsInput{Limit: new(int32(2))}); ; in.NextToken = page.NextToken {
		page = must[*DescribeLogGroupsOutput](t)(s.describeLogGroups(ctx, c, in))
		for _, g := range page.LogGroups {
			names = append(names, *g.LogGroupName)
		}
		if page.NextToken == nil {
			break
		}
	}
	if got := strings.Join(names, " "); got != "/g/0 /g/1 /g/2 /g/3 /g/4" {
		t.Errorf("all pages: %s", got)
	}

	_, err = s.putRetentionPolicy(ctx, c, &PutRetentionPolicyInput{LogGroupName: new("/g/1"), RetentionInDays: new(int32(2))})
	wantFault(t, err, "InvalidParameterException")
	must[*PutRetentionPolicyOutput](t)(s.putRetentionPolicy(ctx, c, &PutRetentionPolicyInput{LogGroupName: new("/g/1"), RetentionInDays: new(int32(7))}))
	page = must[*DescribeLogGroupsOutput](t)(s.describeLogGroups(ctx, c, &DescribeLogGroupsInput{LogGroupNamePattern: new("G/1")}))
	if len(page.LogGroups) != 1 || *page.LogGroups[0].RetentionInDays != 7 {
		t.Errorf("retention: %+v", page)
	}

	must[*TagResourceOutput](t)(s.tagResource(ctx, c, &TagResourceInput{ResourceArn: page.LogGroups[0].LogGroupArn, Tags: map[string]string{"x": "y"}}))
	must[*UntagLogGroupOutput](t)(s.untagLogGroup(ctx, c, &UntagLogGroupInput{LogGroupName: new("/g/1"), Tags: []string{"n"}}))
	tags := must[*ListTagsLogGroupOutput](t)(s.listTagsLogGroup(ctx, c, &ListTagsLogGroupInput{LogGroupName: new("/g/1")}))
	if len(tags.Tags) != 1 || tags.Tags["x"] != "y" {
		t.Errorf("tags: %v", tags.Tags)
	}

	must[*DeleteLogGroupOutput](t)(s.deleteLogGroup(ctx, c, &DeleteLogGroupInput{LogGroupName: new("/g/1")}))
	_, err = s.describeSubscriptionFilters(ctx, c, &DescribeSubscriptionFiltersInput{LogGroupName: new("/g/1")})
	wantFault(t, err, "ResourceNotFoundException")

	other := c
	other.Account = "111111111111"
	if page := must[*DescribeLogGroupsOutput](t)(s.describeLogGroups(ctx, other, &DescribeLogGroupsInput{})); len(page.LogGroups) != 0 {
		t.Errorf("another account sees %d groups", len(page.LogGroups))
	}
}

func TestGetLogEventsPagesBothWays(t *testing.T) {
	s, c := newService(t)
	ctx := context.Background()
	var events []Event
	for i := range 25 {
		events = append(events, Event{at.Add(time.Duration(i/2) * time.Millisecond), fmt.Sprint("line ", i)})
	}
	if err := s.Append(ctx, c.Now, Batch{c.Account, c.Region, "/aws/lambda/f", "s", events}); err != nil {
		t.Fatal(err)
	}
	in := &GetLogEventsInput{LogGroupName: new("/aws/lambda/f"), LogStreamName: new("s"), Limit: new(int32(10)), StartFromHead: new(true)}
	var got []string
	for {
		out := must[*GetLogEventsOutput](t)(s.getLogEvents(ctx, c, in))
		for _, e := range out.Events {
			got = append(got, *e.Message)
		}
		if in.NextToken != nil && *in.NextToken == *out.NextForwardToken {
			in.NextToken = out.NextBackwardToken
			break
		}
		in.NextToken = out.NextForwardToken
	}
	if len(got) != 25 || got[24] != "line 24" || got[10] != "line 10" {
		t.Errorf("forward: %q", got)
	}
	out := must[*GetLogEventsOutput](t)(s.getLogEvents(ctx, c, &GetLogEventsInput{LogGroupName: new("/aws/lambda/f"), LogStreamName: new("s"), Limit: new(int32(3))}))
	if len(out.Events) != 3 || *out.Events[0].Message != "line 22" {
		t.Errorf("the last three: %+v", out.Events)
	}
	out = must[*GetLogEventsOutput](t)(s.getLogEvents(ctx, c, &GetLogEventsInput{LogGroupName: new("/aws/lambda/f"), LogStreamName: new("s"), Limit: new(int32(3)), NextToken: out.NextBackwardToken}))
	if len(out.Events) != 3 || *out.Events[0].Message != "line 19" {
		t.Errorf("the three before: %+v", out.Events)
	}
	_, err := s.getLogEvents(ctx, c, &GetLogEventsInput{LogGroupName: new("/aws/lambda/f"), LogStreamName: new("s"), NextToken: new("bad")})
	wantFault(t, err, "InvalidParameterException")
}

func TestFilterMergesStreams(t *testing.T) {
	s, c := newService(t)
	ctx := context.Background()
	for i := range 30 {
		level := "INFO"
		if i%3 == 0 {
			level = "ERROR"
		}
		e := Event{at.Add(time.Duration(i) * time.Second), fmt.Sprintf("%s %02d", level, i)}
		if err := s.Append(ctx, c.Now, Batch{c.Account, c.Region, "g", fmt.Sprint("s", i%4), []Event{e}}); err != nil {
			t.Fatal(err)
		}
	}
	in := &FilterLogEventsInput{LogGroupName: new("g"), Limit: new(int32(4))}
	var got []string
	ids := map[string]bool{}
	for {
		out := must[*FilterLogEventsOutput](t)(s.filterLogEvents(ctx, c, in))
		for _, e := range out.Events {
			got = append(got, *e.Message)
			ids[*e.EventId] = true
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	for i, m := range got {
		if !strings.HasSuffix(m, fmt.Sprintf(" %02d", i)) {
			t.Fatalf("event %d is %q", i, m)
		}
	}
	if len(got) != 30 || len(ids) != 30 {
		t.Errorf("got %d events with %d ids, want 30", len(got), len(ids))
	}
	out := must[*FilterLogEventsOutput](t)(s.filterLogEvents(ctx, c, &FilterLogEventsInput{
		LogGroupIdentifier: new("arn:aws:logs:us-east-1:000000000000:log-group:g"), FilterPattern: new("ERROR"),
		StartTime: new(at.Add(5 * time.Second).UnixMilli()), EndTime: new(at.Add(12 * time.Second).UnixMilli()),
	}))
	if len(out.Events) != 2 || *out.Events[0].Message != "ERROR 06" || *out.Events[1].Message != "ERROR 09" {
		t.Errorf("window with pattern: %+v", out.Events)
	}
	_, err := s.filterLogEvents(ctx, c, &FilterLogEventsInput{LogGroupName: new("g"), FilterPattern: new("{ $.x = 1 }")})
	wantFault(t, err, "NotImplemented")
}

func TestPutLogEventsRules(t *testing.T) {
	s, c := newService(t)
	ctx := context.Background()
	must[*CreateLogGroupOutput](t)(s.createLogGroup(ctx, c, &CreateLogGroupInput{LogGroupName: new("g")}))
	must[*CreateLogStreamOutput](t)(s.createLogStream(ctx, c, &CreateLogStreamInput{LogGroupName: new("g"), LogStreamName: new("s")}))
	put := func(times ...time.Time) (*PutLogEventsOutput, error) {
		in := &PutLogEventsInput{LogGroupName: new("g"), LogStreamName: new("s")}
		for _, at := range times {
			in.LogEvents = append(in.LogEvents, InputLogEvent{new(at.UnixMilli()), new("m")})
		}
		return s.putLogEvents(ctx, c, in)
	}
	_, err := put(at, at.Add(-time.Second))
	wantFault(t, err, "InvalidParameterException")
	_, err = put(at.Add(-25*time.Hour), at)
	wantFault(t, err, "InvalidParameterException")
	out := must[*PutLogEventsOutput](t)(put(at, at.Add(3*time.Hour)))
	if out.RejectedLogEventsInfo == nil || *out.RejectedLogEventsInfo.TooNewLogEventStartIndex != 1 {
		t.Errorf("too new: %+v", out.RejectedLogEventsInfo)
	}
	out = must[*PutLogEventsOutput](t)(put(at.Add(-15 * 24 * time.Hour)))
	if out.RejectedLogEventsInfo == nil || *out.RejectedLogEventsInfo.TooOldLogEventEndIndex != 1 {
		t.Errorf("too old: %+v", out.RejectedLogEventsInfo)
	}
	streams := must[*DescribeLogStreamsOutput](t)(s.describeLogStreams(ctx, c, &DescribeLogStreamsInput{LogGroupName: new("g"), OrderBy: new("LastEventTime"), Descending: new(true)}))
	if len(streams.LogStreams) != 1 || *streams.LogStreams[0].LastEventTimestamp != at.UnixMilli() {
		t.Errorf("streams: %+v", streams)
	}
}

func TestRetentionHidesAndRemoves(t *testing.T) {
	s, c := newService(t)
	ctx := context.Background()
	if err := s.Append(ctx, c.Now, Batch{c.Account, c.Region, "g", "s", []Event{{at.Add(-72 * time.Hour), "old"}, {at, "new"}}}); err != nil {
		t.Fatal(err)
	}
	must[*PutRetentionPolicyOutput](t)(s.putRetentionPolicy(ctx, c, &PutRetentionPolicyInput{LogGroupName: new("g"), RetentionInDays: new(int32(1))}))
	read := func() int {
		return len(must[*FilterLogEventsOutput](t)(s.filterLogEvents(ctx, c, &FilterLogEventsInput{LogGroupName: new("g")})).Events)
	}
	if got := read(); got != 1 {
		t.Errorf("before the sweep: %d events are shown, want 1", got)
	}
	if err := s.sweep(ctx, at); err != nil {
		t.Fatal(err)
	}
	must[*DeleteRetentionPolicyOutput](t)(s.deleteRetentionPolicy(ctx, c, &DeleteRetentionPolicyInput{LogGroupName: new("g")}))
	if got := read(); got != 1 {
		t.Errorf("after the sweep: %d events are left, want 1", got)
	}
}
