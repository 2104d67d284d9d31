package logs

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"strconv"
	"strings"

	"lambent/cloud"
	"lambent/kv"
)

// streamRow is a log stream as it is stored.
type streamRow struct {
	Name        string `json:"name"`
	ID          string `json:"id"` // of its events' keys
	CreatedMs   int64  `json:"createdMs"`
	FirstMs     int64  `json:"firstMs,omitempty"` // oldest event, 0 while there is none
	LastMs      int64  `json:"lastMs,omitempty"`  // newest event
	IngestedMs  int64  `json:"ingestedMs,omitempty"`
	StoredBytes int64  `json:"storedBytes,omitempty"` // as AWS counts: message and 26 bytes an event
}

func newStream(c cloud.Caller, name string) streamRow {
	return streamRow{Name: name, ID: rand.Text(), CreatedMs: c.Now.UnixMilli()}
}

func noStream() error {
	return cloud.Faultf("ResourceNotFoundException", "The specified log stream does not exist.")
}

func readStream(ctx context.Context, r kv.Reader, c cloud.Caller, group, name string) (st streamRow, err error) {
	if _, err := readGroup(ctx, r, c, group); err != nil {
		return st, err
	}
	found, err := kv.GetRow(ctx, r, streamKey(c, group, name), &st)
	if err == nil && !found {
		err = noStream()
	}
	return st, err
}

// deleteStream removes a stream and its events.
func deleteStream(tx *kv.Tx, key []byte, st streamRow) {
	tx.Delete(key)
	events := kv.Prefix("event", st.ID)
	tx.DeleteRange(events.Begin, events.End)
}

// storedBytes adds up the streams of a group.
func storedBytes(ctx context.Context, r kv.Reader, c cloud.Caller, group string) (n int64, err error) {
	rows, err := r.Scan(ctx, streamRange(c, group))
	for _, row := range rows {
		var st streamRow
		if err := kv.DecodeRow(row.Value, &st); err != nil {
			return 0, err
		}
		n += st.StoredBytes
	}
	return n, err
}

func (s *Service) createLogStream(ctx context.Context, c cloud.Caller, in *CreateLogStreamInput) (*CreateLogStreamOutput, error) {
	group, name := cloud.Val(in.LogGroupName), cloud.Val(in.LogStreamName)
	if strings.ContainsAny(name, ":*") {
		return nil, invalid("1 validation error detected: Value '%s' at 'logStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [^:*]*", name)
	}
	return &CreateLogStreamOutput{}, s.kv.Update(ctx, func(tx *kv.Tx) error {
		if _, err := readGroup(ctx, tx, c, group); err != nil {
			return err
		}
		found, err := kv.GetRow(ctx, tx, streamKey(c, group, name), &streamRow{})
		if err != nil {
			return err
		}
		if found {
			return cloud.Faultf("ResourceAlreadyExistsException", "The specified log stream already exists")
		}
		return kv.PutRow(tx, streamKey(c, group, name), newStream(c, name))
	})
}

func (s *Service) deleteLogStream(ctx context.Context, c cloud.Caller, in *DeleteLogStreamInput) (*DeleteLogStreamOutput, error) {
	group, name := cloud.Val(in.LogGroupName), cloud.Val(in.LogStreamName)
	return &DeleteLogStreamOutput{}, s.kv.Update(ctx, func(tx *kv.Tx) error {
		st, err := readStream(ctx, tx, c, group, name)
		if err != nil {
			return err
		}
		deleteStream(tx, streamKey(c, group, name), st)
		return nil
	})
}

func (s *Service) describeLogStreams(ctx context.Context, c cloud.Caller, in *DescribeLogStreamsInput) (*DescribeLogStreamsOutput, error) {
	group, err := oneGroup(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	byTime := cloud.Val(in.OrderBy) == "LastEventTime"
	if byTime && in.LogStreamNamePrefix != nil {
		return nil, invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	var streams []streamRow
	if err := s.kv.View(ctx, func(r kv.Reader) (err error) {
		streams, err = readStreams(ctx, r, c, group)
		return err
	}); err != nil {
		return nil, err
	}
	streams = slices.DeleteFunc(streams, func(st streamRow) bool {
		return !strings.HasPrefix(st.Name, cloud.Val(in.LogStreamNamePrefix))
	})
	if byTime {
		slices.SortStableFunc(streams, func(a, b streamRow) int { return cmp.Compare(a.LastMs, b.LastMs) })
	}
	if cloud.Val(in.Descending) {
		slices.Reverse(streams)
	}
	from, err := pageStart(in.NextToken)
	if err != nil {
		return nil, err
	}
	out := &DescribeLogStreamsOutput{LogStreams: []LogStream{}}
	limit := int(cloud.Or(in.Limit, 50))
	for i := from; i < len(streams); i++ {
		if len(out.LogStreams) == limit {
			out.NextToken = new(strconv.Itoa(i))
			break
		}
		out.LogStreams = append(out.LogStreams, describeStream(c, group, streams[i]))
	}
	return out, nil
}

// oneGroup returns the group that a request names in one of two ways.
func oneGroup(name, identifier *string) (string, error) {
	switch {
	case name != nil && identifier != nil:
		return "", invalid("LogGroup name and LogGroup ARN are mutually exclusive parameters.")
	case name != nil:
		return *name, nil
	case identifier != nil:
		return nameOf(*identifier), nil
	}
	return "", invalid("LogGroup name or LogGroup ARN is required.")
}

func pageStart(token *string) (int, error) {
	if token == nil {
		return 0, nil
	}
	n, err := strconv.Atoi(*token)
	if err != nil || n < 0 {
		return 0, invalid("The specified nextToken is invalid.")
	}
	return n, nil
}

// readStreams returns the streams of a group by name, or the fault that there is no such group.
func readStreams(ctx context.Context, r kv.Reader, c cloud.Caller, group string) ([]streamRow, error) {
	if _, err := readGroup(ctx, r, c, group); err != nil {
		return nil, err
	}
	rows, err := r.Scan(ctx, streamRange(c, group))
	if err != nil {
		return nil, err
	}
	streams := make([]streamRow, len(rows))
	for i, row := range rows {
		if err := kv.DecodeRow(row.Value, &streams[i]); err != nil {
			return nil, err
		}
	}
	return streams, nil
}

func describeStream(c cloud.Caller, group string, st streamRow) LogStream {
	d := LogStream{
		LogStreamName: &st.Name, CreationTime: &st.CreatedMs, StoredBytes: new(int64(0)), // AWS: always 0 since 2019
		Arn: new(groupARN(c, group) + ":log-stream:" + st.Name), UploadSequenceToken: new(sequenceToken),
	}
	if st.IngestedMs != 0 {
		d.FirstEventTimestamp, d.LastEventTimestamp, d.LastIngestionTime = &st.FirstMs, &st.LastMs, &st.IngestedMs
	}
	return d
}
