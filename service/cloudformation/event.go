package cloudformation

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

// eventRow is one line of a stack's history.
type eventRow struct {
	Time                    time.Time
	ID                      string // of stack events; those of resources are made of name, status and time
	Logical, Physical, Type string
	Status, Reason          string
	Properties              string `json:",omitempty"`
	Token                   string `json:",omitempty"`
	Operation               string `json:",omitempty"`
}

const stackType = "AWS::CloudFormation::Stack"

func putEvent(tx *kv.Tx, ref stackRef, e eventRow) error {
	if e.Type == stackType {
		e.ID = newUUID()
	} else {
		e.ID = e.Logical + "-" + e.Status + "-" + e.Time.Format("2006-01-02T15:04:05.000Z")
	}
	value, err := encodeRow(e)
	if err != nil {
		return err
	}
	tx.SetStamped(eventPrefix(ref.account, ref.region, ref.id), nil, value)
	return nil
}

// pageSize is how many events, stacks, resources or exports one reply holds.
const pageSize = 100

// describeStackEvents answers DescribeStackEvents: the newest event first.
func (s *Service) describeStackEvents(ctx context.Context, c cloud.Caller, in *DescribeStackEventsInput) (*DescribeStackEventsOutput, error) {
	out := &DescribeStackEventsOutput{}
	err := s.kv.View(ctx, func(r kv.Reader) error {
		stack, err := s.stack(ctx, r, c, *in.StackName)
		if err != nil {
			return noStackToChange(err, *in.StackName)
		}
		prefix := eventPrefix(stack.Account, stack.Region, stack.ID)
		rng := kv.Prefix(stack.Account, stack.Region, "event", stack.ID)
		rng.Reverse, rng.Limit = true, pageSize+1
		before, err := pageAfter(in.NextToken)
		if err != nil {
			return err
		}
		if before != "" {
			stamp, err := hex.DecodeString(before)
			if err != nil {
				return badToken()
			}
			rng.End = append(append([]byte(nil), prefix...), stamp...)
		}
		rows, err := r.Scan(ctx, rng)
		if err != nil {
			return err
		}
		out.StackEvents, out.NextToken = []StackEvent{}, nil
		for i, row := range rows {
			if i == pageSize {
				out.NextToken = nextPage(hex.EncodeToString(rows[i-1].Key[len(prefix):]))
				break
			}
			var e eventRow
			if err := decodeRow(row.Value, &e); err != nil {
				return err
			}
			out.StackEvents = append(out.StackEvents, e.show(stack))
		}
		return nil
	})
	return out, err
}

func (e eventRow) show(stack *stackRow) StackEvent {
	return StackEvent{StackId: &stack.ID, StackName: &stack.Name, EventId: &e.ID, Timestamp: &e.Time,
		LogicalResourceId: &e.Logical, PhysicalResourceId: new(e.Physical), ResourceType: &e.Type, ResourceStatus: &e.Status,
		ResourceStatusReason: optional(e.Reason), ResourceProperties: optional(e.Properties), ClientRequestToken: optional(e.Token)}
}

// optional is a member that is left out when it is empty.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// nextPage makes a token of the last key shown; pageAfter gives it back.
func nextPage(key string) *string {
	return new(base64.RawURLEncoding.EncodeToString([]byte(key)))
}

func pageAfter(token *string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(cloud.Val(token))
	if err != nil {
		return "", badToken()
	}
	return string(b), nil
}

func badToken() error { return invalid("Invalid NextToken") }
