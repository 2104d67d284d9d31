package eventbridge

import (
	"context"
	"strings"

	"lambent/cloud"
)

// defaultBus is the event bus that every account has in every region.
const defaultBus = "default"

// busName returns the name in a name or ARN of an event bus; nil is the default bus.
func busName(nameOrARN *string) string {
	name := cloud.Or(nameOrARN, defaultBus)
	if a, ok := cloud.ParseARN(name); ok {
		return strings.TrimPrefix(a.Resource, "event-bus/")
	}
	return name
}

func busARN(c cloud.Caller, bus string) string { return c.ARNOf("events", "event-bus/"+bus) }

// checkBus refuses every bus but the default one: no other can be made yet.
func checkBus(bus string) error {
	if bus != defaultBus {
		return cloud.Faultf("ResourceNotFoundException", "Event bus %s does not exist.", bus)
	}
	return nil
}

// describeEventBus answers DescribeEventBus.
func (s *Service) describeEventBus(_ context.Context, c cloud.Caller, in *DescribeEventBusInput) (*DescribeEventBusOutput, error) {
	bus := busName(in.Name)
	if err := checkBus(bus); err != nil {
		return nil, err
	}
	return &DescribeEventBusOutput{Name: &bus, Arn: new(busARN(c, bus))}, nil
}

// listEventBuses answers ListEventBuses.
func (s *Service) listEventBuses(_ context.Context, c cloud.Caller, in *ListEventBusesInput) (*ListEventBusesOutput, error) {
	out := &ListEventBusesOutput{EventBuses: []EventBus{}}
	if strings.HasPrefix(defaultBus, cloud.Val(in.NamePrefix)) {
		out.EventBuses = append(out.EventBuses, EventBus{Name: new(defaultBus), Arn: new(busARN(c, defaultBus))})
	}
	return out, nil
}
