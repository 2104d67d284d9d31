package logs

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/logfilter"
)

// Limits of PutLogEvents, as AWS has them.
const (
	eventOverhead = 26      // bytes that an event counts beyond its message
	maxBatchBytes = 1 << 20 // of one call
	maxEventBytes = 1<<20 - 64
	maxPast       = 14 * 24 * time.Hour
	maxFuture     = 2 * time.Hour
	maxSpan       = 24 * time.Hour
)

// sequenceToken is what PutLogEvents returns to clients that still pass tokens; it is not looked at.
const sequenceToken = "49039859485718287138461782395829485718287138461782395829"

// Event is one line of a log on its way in.
type Event struct {
	Time    time.Time
	Message string
}

// A Batch is events for one stream, in order of time.
type Batch struct {
	Account, Region string
	Group, Stream   string
	Events          []Event
}

// Append writes batches in one transaction and makes groups and streams where they are missing, as AWS does for
// the logs of functions. The events are durable when it returns. Together they stay below the store's limit of a
// transaction, 8 MiB.
func (s *Service) Append(ctx context.Context, now time.Time, batches ...Batch) error {
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		for _, b := range batches {
			if err := b.append(ctx, tx, now); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *Batch) append(ctx context.Context, tx *kv.Tx, now time.Time) error {
	c := cloud.Caller{Account: b.Account, Region: b.Region, Now: now}
	found, err := kv.GetRow(ctx, tx, groupKey(c, b.Group), &groupRow{})
	if err != nil {
		return err
	}
	if !found {
		if err := kv.PutRow(tx, groupKey(c, b.Group), groupRow{Name: b.Group, CreatedMs: now.UnixMilli(), Class: "STANDARD"}); err != nil {
			return err
		}
	}
	st := newStream(c, b.Stream)
	if _, err := kv.GetRow(ctx, tx, streamKey(c, b.Group, b.Stream), &st); err != nil {
		return err
	}
	return writeEvents(tx, c, b.Group, st, b.Events)
}

// writeEvents stores events, which are in order of time, and the stream's row that counts them.
func writeEvents(tx *kv.Tx, c cloud.Caller, group string, st streamRow, events []Event) error {
	for _, e := range events {
		ms := e.Time.UnixMilli()
		if st.FirstMs == 0 || ms < st.FirstMs {
			st.FirstMs = ms
		}
		st.LastMs = max(st.LastMs, ms)
		st.StoredBytes += int64(len(e.Message) + eventOverhead)
		tx.SetStamped(eventPrefix(st.ID, ms), nil, encodeEvent(c.Now, e.Message))
	}
	st.IngestedMs = c.Now.UnixMilli()
	return kv.PutRow(tx, streamKey(c, group, st.Name), st)
}

func (s *Service) putLogEvents(ctx context.Context, c cloud.Caller, in *PutLogEventsInput) (*PutLogEventsOutput, error) {
	if in.Entity != nil {
		return nil, cloud.NotImplemented("PutLogEvents with an entity")
	}
	if err := checkBatch(in.LogEvents); err != nil {
		return nil, err
	}
	group, name := cloud.Val(in.LogGroupName), cloud.Val(in.LogStreamName)
	out := &PutLogEventsOutput{NextSequenceToken: new(sequenceToken)}
	return out, s.kv.Update(ctx, func(tx *kv.Tx) error {
		g, err := readGroup(ctx, tx, c, group)
		if err != nil {
			return err
		}
		st, err := readStream(ctx, tx, c, group, name)
		if err != nil {
			return err
		}
		var events []Event
		events, out.RejectedLogEventsInfo = acceptable(in.LogEvents, c.Now, g)
		if len(events) == 0 {
			return nil
		}
		return writeEvents(tx, c, group, st, events)
	})
}

// checkBatch holds a batch against the rules that refuse it whole.
func checkBatch(events []InputLogEvent) error {
	size := 0
	for i, e := range events {
		size += len(*e.Message) + eventOverhead
		if len(*e.Message) > maxEventBytes {
			return invalid("Log event too large: %d bytes exceeds limit of %d", len(*e.Message)+eventOverhead, maxBatchBytes)
		}
		if i > 0 && *e.Timestamp < *events[i-1].Timestamp {
			return invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
	}
	if size > maxBatchBytes {
		return invalid("Upload too large: %d bytes exceeds limit of %d", size, maxBatchBytes)
	}
	if n := len(events); n > 0 && *events[n-1].Timestamp-*events[0].Timestamp > maxSpan.Milliseconds() {
		return invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	return nil
}

// acceptable leaves out events that are too old or too new and says which.
func acceptable(in []InputLogEvent, now time.Time, g groupRow) (events []Event, info *RejectedLogEventsInfo) {
	reject := func() *RejectedLogEventsInfo {
		if info == nil {
			info = &RejectedLogEventsInfo{}
		}
		return info
	}
	for i, e := range in {
		at := time.UnixMilli(*e.Timestamp)
		switch {
		case at.Before(now.Add(-maxPast)):
			reject().TooOldLogEventEndIndex = new(int32(i + 1))
		case at.Before(g.cutoff(now)):
			reject().ExpiredLogEventEndIndex = new(int32(i + 1))
		case at.After(now.Add(maxFuture)):
			if reject().TooNewLogEventStartIndex == nil {
				info.TooNewLogEventStartIndex = new(int32(i))
			}
		default:
			events = append(events, Event{at, *e.Message})
		}
	}
	return events, info
}

// cutoff is the time before which the group's events are gone.
func (g groupRow) cutoff(now time.Time) time.Time {
	if g.RetentionDays == 0 {
		return time.UnixMilli(0)
	}
	return now.AddDate(0, 0, -int(g.RetentionDays))
}

// Pages end at the default or asked number of events, or at this many bytes of messages.
const (
	defaultPage  = 10000
	maxPageBytes = 1 << 20
)

// stored is an event as it is read.
type stored struct {
	position
	ingestedMs int64
	message    string
}

func decodeStored(row kv.KV) (e stored, err error) {
	if e.position, err = positionOf(row.Key); err != nil {
		return e, err
	}
	e.ingestedMs, e.message, err = decodeEvent(row.Value)
	return e, err
}

// window is the part of a stream between two times; to is exclusive.
func window(id string, from, to int64) kv.Range {
	return kv.Range{Begin: eventPrefix(id, from), End: eventPrefix(id, to)}
}

// times returns the window that a request asks for, cut off where the group's events are gone.
func times(g groupRow, now time.Time, start, end *int64) (from, to int64) {
	from, to = cloud.Val(start), math.MaxInt64
	if end != nil {
		to = *end
	}
	return max(from, g.cutoff(now).UnixMilli()), to
}

// getLogEvents pages through one stream in both directions. A token names the direction and the position
// that the last page ended with; at the end of the stream the same token comes back.
func (s *Service) getLogEvents(ctx context.Context, c cloud.Caller, in *GetLogEventsInput) (*GetLogEventsOutput, error) {
	group, err := oneGroup(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	forward := cloud.Val(in.StartFromHead)
	var from *position
	if in.NextToken != nil {
		if forward, from, err = parseToken(*in.NextToken); err != nil {
			return nil, err
		}
	}
	limit := int(cloud.Or(in.Limit, defaultPage))
	var events []stored
	err = s.kv.View(ctx, func(r kv.Reader) error {
		g, err := readGroup(ctx, r, c, group)
		if err != nil {
			return err
		}
		st, err := readStream(ctx, r, c, group, cloud.Val(in.LogStreamName))
		if err != nil {
			return err
		}
		lo, hi := times(g, c.Now, in.StartTime, in.EndTime)
		rng := window(st.ID, lo, hi)
		rng.Reverse = !forward
		if from != nil && forward {
			rng.Begin = append(from.key(st.ID), 0)
		} else if from != nil {
			rng.End = from.key(st.ID)
		}
		events, err = readPage(ctx, r, rng, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !forward {
		slices.Reverse(events)
	}
	return pageOfStream(events, from, in.NextToken, forward), nil
}

func pageOfStream(events []stored, from *position, token *string, forward bool) *GetLogEventsOutput {
	out := &GetLogEventsOutput{Events: []OutputLogEvent{}}
	for _, e := range events {
		out.Events = append(out.Events, OutputLogEvent{&e.ms, &e.message, &e.ingestedMs})
	}
	first, last := position{}, position{}
	switch {
	case len(events) > 0:
		first, last = events[0].position, events[len(events)-1].position
	case from != nil:
		first, last = *from, *from
	}
	out.NextForwardToken, out.NextBackwardToken = new(formatToken(true, last)), new(formatToken(false, first))
	if len(events) == 0 && token != nil && forward {
		out.NextForwardToken = token
	} else if len(events) == 0 && token != nil {
		out.NextBackwardToken = token
	}
	return out
}

// readPage reads up to limit events, fewer where their messages are large.
func readPage(ctx context.Context, r kv.Reader, rng kv.Range, limit int) (events []stored, err error) {
	const step = 500
	size := 0
	for len(events) < limit {
		rng.Limit = min(step, limit-len(events))
		rows, err := r.Scan(ctx, rng)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			e, err := decodeStored(row)
			if err != nil {
				return nil, err
			}
			if size += len(e.message) + eventOverhead; size > maxPageBytes && len(events) > 0 {
				return events, nil
			}
			events = append(events, e)
		}
		if len(rows) < rng.Limit {
			return events, nil
		}
		if last := rows[len(rows)-1].Key; rng.Reverse {
			rng.End = last
		} else {
			rng.Begin = append(last, 0)
		}
	}
	return events, nil
}

func formatToken(forward bool, p position) string {
	d := "b/"
	if forward {
		d = "f/"
	}
	return d + strconv.FormatInt(p.ms, 36) + "." + base64.RawURLEncoding.EncodeToString(p.stamp[:])
}

func parseToken(s string) (forward bool, p *position, err error) {
	bad := invalid("The specified nextToken is invalid.")
	d, rest, ok := strings.Cut(s, "/")
	ms, stamp, ok2 := strings.Cut(rest, ".")
	if !ok || !ok2 || d != "f" && d != "b" {
		return false, nil, bad
	}
	p = &position{}
	if p.ms, err = strconv.ParseInt(ms, 36, 64); err != nil {
		return false, nil, bad
	}
	b, err := base64.RawURLEncoding.DecodeString(stamp)
	if err != nil || len(b) != stampSize {
		return false, nil, bad
	}
	copy(p.stamp[:], b)
	return d == "f", p, nil
}

// cursor is where FilterLogEvents goes on: behind the event at that position of that stream, all streams
// being read as one sequence by position and then by name.
type cursor struct {
	Ms     int64  `json:"m"`
	Stamp  []byte `json:"s"`
	Stream string `json:"n"`
}

// filterLogEvents reads all wanted streams of a group as one, in order of time.
func (s *Service) filterLogEvents(ctx context.Context, c cloud.Caller, in *FilterLogEventsInput) (*FilterLogEventsOutput, error) {
	group, err := oneGroup(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	if in.LogStreamNames != nil && in.LogStreamNamePrefix != nil {
		return nil, invalid("logStreamNamePrefix and logStreamNames are mutually exclusive parameters.")
	}
	pattern, err := parsePattern(cloud.Val(in.FilterPattern))
	if err != nil {
		return nil, err
	}
	after, err := parseCursor(in.NextToken)
	if err != nil {
		return nil, err
	}
	wanted := func(st streamRow) bool {
		return strings.HasPrefix(st.Name, cloud.Val(in.LogStreamNamePrefix)) && (in.LogStreamNames == nil || slices.Contains(in.LogStreamNames, st.Name))
	}
	var out *FilterLogEventsOutput
	err = s.kv.View(ctx, func(r kv.Reader) error {
		g, err := readGroup(ctx, r, c, group)
		if err != nil {
			return err
		}
		streams, err := readStreams(ctx, r, c, group)
		if err != nil {
			return err
		}
		from, to := times(g, c.Now, in.StartTime, in.EndTime)
		if after != nil {
			from = max(from, after.Ms)
		}
		streams = slices.DeleteFunc(streams, func(st streamRow) bool {
			return !wanted(st) || st.IngestedMs == 0 || st.LastMs < from || st.FirstMs >= to
		})
		out, err = filterStreams(ctx, r, streams, from, to, after, pattern, int(cloud.Or(in.Limit, defaultPage)))
		return err
	})
	return out, err
}

func parsePattern(s string) (*logfilter.Pattern, error) {
	p, err := logfilter.Parse(s)
	if errors.Is(err, logfilter.ErrNotImplemented) {
		return nil, cloud.NotImplemented("A filter pattern over JSON or columns")
	}
	if err != nil {
		return nil, invalid("Invalid filter pattern")
	}
	return p, nil
}

func parseCursor(token *string) (*cursor, error) {
	if token == nil {
		return nil, nil
	}
	c := &cursor{}
	b, err := base64.RawURLEncoding.DecodeString(*token)
	if err == nil {
		err = json.Unmarshal(b, c)
	}
	if err != nil || len(c.Stamp) != stampSize {
		return nil, invalid("The specified nextToken is invalid.")
	}
	return c, nil
}

func (c cursor) token() *string {
	b, _ := json.Marshal(c) // of two strings and a number
	return new(base64.RawURLEncoding.EncodeToString(b))
}

// maxLooked bounds the events that one call looks at: a page may come back with fewer matches and a token.
const maxLooked = 100_000

// filterStreams merges streams by time and keeps what matches.
func filterStreams(ctx context.Context, r kv.Reader, streams []streamRow, from, to int64, after *cursor, p *logfilter.Pattern, limit int) (*FilterLogEventsOutput, error) {
	out := &FilterLogEventsOutput{Events: []FilteredLogEvent{}, SearchedLogStreams: []SearchedLogStream{}}
	var heads []*head
	for _, st := range streams {
		h := &head{stream: st.Name, rng: window(st.ID, from, to)}
		if err := h.skipTo(ctx, r, after); err != nil {
			return nil, err
		}
		if h.ok() {
			heads = append(heads, h)
		}
	}
	size := 0
	for looked := 0; len(heads) > 0; looked++ {
		h := slices.MinFunc(heads, compareHeads)
		e := h.first()
		full := len(out.Events) == limit || size > maxPageBytes || looked == maxLooked
		if full {
			out.NextToken = after.token()
			return out, nil
		}
		if p.Matches(e.message) {
			size += len(e.message) + eventOverhead
			out.Events = append(out.Events, FilteredLogEvent{&h.stream, &e.ms, &e.message, &e.ingestedMs, new(e.eventID())})
		}
		after = &cursor{e.ms, e.stamp[:], h.stream}
		if err := h.next(ctx, r); err != nil {
			return nil, err
		}
		if !h.ok() {
			heads = slices.DeleteFunc(heads, func(o *head) bool { return o == h })
		}
	}
	return out, nil
}

// head reads one stream in steps.
type head struct {
	stream string
	rng    kv.Range
	events []stored
	done   bool // nothing is left behind events
}

func (h *head) ok() bool      { return len(h.events) > 0 }
func (h *head) first() stored { return h.events[0] }

func (h *head) next(ctx context.Context, r kv.Reader) error {
	if len(h.events) > 0 {
		h.events = h.events[1:]
	}
	return h.fill(ctx, r)
}

func (h *head) fill(ctx context.Context, r kv.Reader) error {
	const step = 256
	if len(h.events) > 0 || h.done {
		return nil
	}
	h.rng.Limit = step
	rows, err := r.Scan(ctx, h.rng)
	if err != nil {
		return err
	}
	for _, row := range rows {
		e, err := decodeStored(row)
		if err != nil {
			return err
		}
		h.events = append(h.events, e)
	}
	if h.done = len(rows) < step; !h.done {
		h.rng.Begin = append(rows[len(rows)-1].Key, 0)
	}
	return nil
}

// skipTo brings the head to its first event behind after.
func (h *head) skipTo(ctx context.Context, r kv.Reader, after *cursor) error {
	if err := h.fill(ctx, r); err != nil || after == nil {
		return err
	}
	at := position{ms: after.Ms}
	copy(at.stamp[:], after.Stamp)
	for h.ok() && comparePlaces(h.first().position, h.stream, at, after.Stream) <= 0 {
		if err := h.next(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func compareHeads(a, b *head) int {
	return comparePlaces(a.first().position, a.stream, b.first().position, b.stream)
}

func comparePlaces(a position, aStream string, b position, bStream string) int {
	return cmp.Or(cmp.Compare(a.ms, b.ms), slices.Compare(a.stamp[:], b.stamp[:]), strings.Compare(aStream, bStream))
}

// sweep removes the events of every group that have outlived its retention.
func (s *Service) sweep(ctx context.Context, now time.Time) error {
	rng := kv.Prefix("group")
	for rng.Limit = 100; ; {
		var groups []kv.KV
		if err := s.kv.View(ctx, func(r kv.Reader) (err error) {
			groups, err = r.Scan(ctx, rng)
			return err
		}); err != nil {
			return err
		}
		for _, row := range groups {
			if err := s.sweepGroup(ctx, row, now); err != nil {
				return err
			}
		}
		if len(groups) < rng.Limit {
			return nil
		}
		rng.Begin = append(groups[len(groups)-1].Key, 0)
	}
}

func (s *Service) sweepGroup(ctx context.Context, row kv.KV, now time.Time) error {
	var g groupRow
	if err := kv.DecodeRow(row.Value, &g); err != nil {
		return err
	}
	parts, err := kv.Unkey(row.Key)
	if err != nil || g.RetentionDays == 0 {
		return err
	}
	c := cloud.Caller{Account: parts[1].(string), Region: parts[2].(string)}
	cutoff := g.cutoff(now).UnixMilli()
	return s.kv.Update(ctx, func(tx *kv.Tx) error {
		streams, err := readStreams(ctx, tx, c, g.Name)
		if cloud.FaultCode(err) == "ResourceNotFoundException" {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		for _, st := range streams {
			if st.IngestedMs == 0 || st.FirstMs >= cutoff {
				continue
			}
			rng := window(st.ID, 0, cutoff)
			tx.DeleteRange(rng.Begin, rng.End)
			if st.FirstMs = cutoff; st.LastMs < cutoff {
				st = streamRow{Name: st.Name, ID: st.ID, CreatedMs: st.CreatedMs}
			}
			if err := kv.PutRow(tx, streamKey(c, g.Name, st.Name), st); err != nil {
				return err
			}
		}
		return nil
	})
}
