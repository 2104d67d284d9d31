package lambda

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"lambent/cloud"
	"lambent/invoke"
	"lambent/kv"
)

// mappingRow is an event source mapping: which source's events a function gets. Reading the source is the matter of
// whoever is named in [Config.Sources].
type mappingRow struct {
	Config EventSourceMappingConfiguration // as the API shows it
	Tags   map[string]string               `json:",omitempty"`
}

const maxFilters = 10

func mappingKey(account, region, uuid string) []byte {
	return kv.Key(account, region, "mapping", uuid)
}

// mappingARN tells the policy hook which mapping an input is about.
func mappingARN[I any](uuid func(*I) *string) func(cloud.Caller, *I) []string {
	return func(c cloud.Caller, in *I) []string {
		return []string{c.ARNOf("lambda", mappingPrefix+cloud.Val(uuid(in)))}
	}
}

const mappingPrefix = "event-source-mapping:"

// mappingID is the id in an ARN of the caller's account and region, "" for any other.
func mappingID(c cloud.Caller, arn string) string {
	id, ok := strings.CutPrefix(arn, c.ARNOf("lambda", mappingPrefix))
	if !ok {
		return ""
	}
	return id
}

// A sourceKind is what the sources of one service have in common.
type sourceKind struct {
	name      string
	batch     int32  // default size
	most      int32  // largest size
	stream    bool   // has positions, and records that are tried again
	reason    string // why a state was entered
	positions []string
}

func kindOf(service, resource string) *sourceKind {
	switch service {
	case "sqs":
		k := &sourceKind{name: "SQS", batch: 10, most: 10000, reason: "USER_INITIATED"}
		if strings.HasSuffix(resource, ".fifo") {
			k.most = 10
		}
		return k
	case "kinesis":
		return &sourceKind{name: "Kinesis", batch: 100, most: 10000, stream: true, reason: "User action", positions: []string{"TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"}}
	case "dynamodb":
		return &sourceKind{name: "DynamoDB", batch: 100, most: 10000, stream: true, reason: "User action", positions: []string{"TRIM_HORIZON", "LATEST"}}
	case "kafka":
		return &sourceKind{name: "Kafka", batch: 100, most: 10000, reason: "USER_INITIATED"}
	}
	return nil
}

// sourceOf finds out where a mapping's events come from.
func sourceOf(in *CreateEventSourceMappingInput) (service string, k *sourceKind, err error) {
	switch {
	case in.SelfManagedEventSource != nil:
		if in.SourceAccessConfigurations == nil {
			return "", nil, invalid("Required 'sourceAccessConfigurations' parameter is missing.")
		}
		return "kafka", kindOf("kafka", ""), nil
	case in.EventSourceArn == nil:
		return "", nil, invalid("Unrecognized event source.")
	}
	a, ok := cloud.ParseARN(*in.EventSourceArn)
	if !ok {
		return "", nil, invalid("Unrecognized event source.")
	}
	if k = kindOf(a.Service, a.Resource); k == nil {
		return "", nil, cloud.NotImplemented("Event source mappings of " + a.Service)
	}
	return a.Service, k, nil
}

func (s *Service) createMapping(ctx context.Context, c cloud.Caller, in *CreateEventSourceMappingInput) (*EventSourceMappingConfiguration, error) {
	service, k, err := sourceOf(in)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if k.stream {
		switch {
		case in.StartingPosition == nil:
			return nil, invalid("1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null.")
		case !slices.Contains(k.positions, *in.StartingPosition):
			return nil, invalid("Unsupported starting position for arn type: %s", *in.EventSourceArn)
		}
	}
	r, err := parseOwn(c, in.FunctionName, nil)
	if err != nil {
		return nil, err
	}
	row := &mappingRow{Tags: maps.Clone(in.Tags), Config: k.defaults(r, c, in)}
	given := (*mappingSettings)(updateOf(in))
	if err := given.apply(&row.Config, k); err != nil {
		return nil, err
	}
	err = s.KV.Update(ctx, func(tx *kv.Tx) error {
		if _, _, err := r.find(ctx, tx); err != nil {
			return orElse(gone(err), invalid("Function does not exist"))
		}
		if err := r.onlyMapping(ctx, tx, &row.Config); err != nil {
			return err
		}
		if !slices.Contains(s.Sources, service) {
			return cloud.NotImplemented("An event source mapping of " + k.name)
		}
		return kv.PutRow(tx, mappingKey(c.Account, c.Region, *row.Config.UUID), row)
	})
	if err != nil {
		return nil, err
	}
	return during(row.Config, "Creating"), nil
}

// defaults is a mapping of that kind before anything was set.
func (k *sourceKind) defaults(r reference, c cloud.Caller, in *CreateEventSourceMappingInput) EventSourceMappingConfiguration {
	id := invoke.NewRequestID()
	m := EventSourceMappingConfiguration{UUID: new(id), EventSourceMappingArn: new(c.ARNOf("lambda", mappingPrefix+id)), EventSourceArn: in.EventSourceArn,
		FunctionArn: new(r.qualified(r.qualifier)), LastModified: new(c.Now), State: new("Enabled"), StateTransitionReason: new(k.reason),
		StartingPosition: in.StartingPosition, StartingPositionTimestamp: in.StartingPositionTimestamp, Topics: in.Topics, Queues: in.Queues,
		SourceAccessConfigurations: in.SourceAccessConfigurations, SelfManagedEventSource: in.SelfManagedEventSource,
		SelfManagedKafkaEventSourceConfig: in.SelfManagedKafkaEventSourceConfig, BatchSize: new(k.batch)}
	switch {
	case k.stream:
		m.BisectBatchOnFunctionError, m.DestinationConfig = new(false), &DestinationConfig{OnFailure: &OnFailure{}}
		m.LastProcessingResult, m.ParallelizationFactor, m.TumblingWindowInSeconds = new("No records processed"), new(int32(1)), new(int32(0))
		m.MaximumRecordAgeInSeconds, m.MaximumRetryAttempts = new(int32(-1)), new(int32(-1))
		m.MaximumBatchingWindowInSeconds, m.FunctionResponseTypes = new(int32(0)), []string{}
	case k.name == "Kafka":
		m.EventSourceMappingArn, m.LastProcessingResult = nil, new("No records processed")
		if m.SelfManagedKafkaEventSourceConfig == nil {
			m.SelfManagedKafkaEventSourceConfig = &SelfManagedKafkaEventSourceConfig{ConsumerGroupId: new(id)}
		}
	default:
		m.MaximumBatchingWindowInSeconds, m.FunctionResponseTypes = new(int32(0)), []string{}
	}
	return m
}

// during shows a mapping in a state that it only passes through.
func during(m EventSourceMappingConfiguration, state string) *EventSourceMappingConfiguration {
	m.State = new(state)
	return &m
}

// onlyMapping refuses to map a source to a function twice.
func (r reference) onlyMapping(ctx context.Context, tx *kv.Tx, m *EventSourceMappingConfiguration) error {
	rows, err := tx.Scan(ctx, kv.Prefix(r.account, r.region, "mapping"))
	if err != nil {
		return err
	}
	for _, kvRow := range rows {
		var other mappingRow
		if err := kv.DecodeRow(kvRow.Value, &other); err != nil {
			return err
		}
		o := &other.Config
		if *o.FunctionArn != *m.FunctionArn || *o.UUID == *m.UUID {
			continue
		}
		switch {
		case m.EventSourceArn != nil && cloud.Val(o.EventSourceArn) == *m.EventSourceArn:
			return conflict("The event source arn (\" %s \") and function (\" %s \") provided mapping already exists. Please update or delete the existing mapping with UUID %s",
				*m.EventSourceArn, r.name, *o.UUID)
		case m.EventSourceArn == nil && o.EventSourceArn == nil && shares(o, m):
			return conflict("An event source mapping with event source (\"%s\"), function (\"%s\"), topics (\"%s\") already exists. Please update or delete the existing mapping with UUID %s",
				strings.Join(m.servers(), ","), *m.FunctionArn, strings.Join(m.Topics, ","), *o.UUID)
		}
	}
	return nil
}

func (m *EventSourceMappingConfiguration) servers() []string {
	if m.SelfManagedEventSource == nil {
		return nil
	}
	return m.SelfManagedEventSource.Endpoints["KAFKA_BOOTSTRAP_SERVERS"]
}

// shares tells whether two mappings of Kafka have a server and a topic in common.
func shares(a, b *EventSourceMappingConfiguration) bool {
	common := func(x, y []string) bool {
		return slices.ContainsFunc(x, func(s string) bool { return slices.Contains(y, s) })
	}
	return common(a.servers(), b.servers()) && common(a.Topics, b.Topics)
}

// mappingSettings is what can be set when a mapping is made, and later. Nil means not given.
type mappingSettings UpdateEventSourceMappingInput

func updateOf(in *CreateEventSourceMappingInput) *UpdateEventSourceMappingInput {
	return &UpdateEventSourceMappingInput{Enabled: in.Enabled, BatchSize: in.BatchSize, FilterCriteria: in.FilterCriteria, KMSKeyArn: in.KMSKeyArn,
		MetricsConfig: in.MetricsConfig, LoggingConfig: in.LoggingConfig, ScalingConfig: in.ScalingConfig,
		MaximumBatchingWindowInSeconds: in.MaximumBatchingWindowInSeconds, ParallelizationFactor: in.ParallelizationFactor,
		DestinationConfig: in.DestinationConfig, MaximumRecordAgeInSeconds: in.MaximumRecordAgeInSeconds,
		BisectBatchOnFunctionError: in.BisectBatchOnFunctionError, MaximumRetryAttempts: in.MaximumRetryAttempts,
		TumblingWindowInSeconds: in.TumblingWindowInSeconds, FunctionResponseTypes: in.FunctionResponseTypes,
		AmazonManagedKafkaEventSourceConfig: in.AmazonManagedKafkaEventSourceConfig, DocumentDBEventSourceConfig: in.DocumentDBEventSourceConfig,
		ProvisionedPollerConfig: in.ProvisionedPollerConfig}
}

// refuse answers for what would have no effect, or none for a source of that kind.
func (g *mappingSettings) refuse(k *sourceKind) error {
	switch {
	case cloud.Val(g.KMSKeyArn) != "":
		return cloud.NotImplemented("KMSKeyArn")
	case g.MetricsConfig != nil:
		return cloud.NotImplemented("MetricsConfig")
	case g.LoggingConfig != nil:
		return cloud.NotImplemented("LoggingConfig")
	case g.ProvisionedPollerConfig != nil:
		return cloud.NotImplemented("ProvisionedPollerConfig")
	case g.AmazonManagedKafkaEventSourceConfig != nil:
		return cloud.NotImplemented("AmazonManagedKafkaEventSourceConfig")
	case g.DocumentDBEventSourceConfig != nil:
		return cloud.NotImplemented("DocumentDBEventSourceConfig")
	case g.DestinationConfig != nil && (g.DestinationConfig.OnSuccess != nil || !k.stream):
		return invalid("Unsupported DestinationConfig parameter for given event source mapping type.")
	case g.ScalingConfig != nil && k.name != "SQS":
		return invalid("Unsupported ScalingConfig parameter for given event source mapping type.")
	case !k.stream && (g.ParallelizationFactor != nil || g.MaximumRecordAgeInSeconds != nil || g.BisectBatchOnFunctionError != nil ||
		g.MaximumRetryAttempts != nil || g.TumblingWindowInSeconds != nil):
		return invalid("Unsupported parameter for given event source mapping type.")
	case len(g.FunctionResponseTypes) > 0 && k.name == "Kafka":
		return invalid("Unsupported FunctionResponseTypes parameter for given event source mapping type.")
	}
	return nil
}

// apply changes m to what is given, and checks the whole.
func (g *mappingSettings) apply(m *EventSourceMappingConfiguration, k *sourceKind) error {
	if err := g.refuse(k); err != nil {
		return err
	}
	give(&m.BatchSize, g.BatchSize)
	give(&m.MaximumBatchingWindowInSeconds, g.MaximumBatchingWindowInSeconds)
	give(&m.ParallelizationFactor, g.ParallelizationFactor)
	give(&m.MaximumRecordAgeInSeconds, g.MaximumRecordAgeInSeconds)
	give(&m.BisectBatchOnFunctionError, g.BisectBatchOnFunctionError)
	give(&m.MaximumRetryAttempts, g.MaximumRetryAttempts)
	give(&m.TumblingWindowInSeconds, g.TumblingWindowInSeconds)
	give(&m.ScalingConfig, g.ScalingConfig)
	give(&m.DestinationConfig, g.DestinationConfig)
	if g.FunctionResponseTypes != nil {
		m.FunctionResponseTypes = g.FunctionResponseTypes
	}
	if g.Enabled != nil {
		m.State = new(map[bool]string{true: "Enabled", false: "Disabled"}[*g.Enabled])
	}
	if err := applyFilters(m, g.FilterCriteria); err != nil {
		return err
	}
	switch {
	case *m.BatchSize > k.most:
		return invalid("BatchSize must be between 1 and %d for this event source.", k.most)
	case k.name == "SQS" && *m.BatchSize > 10 && cloud.Val(m.MaximumBatchingWindowInSeconds) == 0:
		return invalid("Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10")
	}
	return nil
}

func give[T any](to **T, given *T) {
	if given != nil {
		*to = given
	}
}

// applyFilters sets the patterns; a list of none takes them away.
func applyFilters(m *EventSourceMappingConfiguration, given *FilterCriteria) error {
	if given == nil {
		return nil
	}
	if len(given.Filters) > maxFilters {
		return invalid("A mapping has at most %d filters.", maxFilters)
	}
	for _, f := range given.Filters {
		var pattern map[string]any
		if json.Unmarshal([]byte(cloud.Val(f.Pattern)), &pattern) != nil || !validPattern(pattern) {
			return invalid("Invalid filter pattern definition.")
		}
	}
	if m.FilterCriteria = given; len(given.Filters) == 0 {
		m.FilterCriteria = nil
	}
	return nil
}

// validPattern tells whether the leaves of a pattern are lists of what a value may be.
func validPattern(pattern map[string]any) bool {
	for key, v := range pattern {
		switch v := v.(type) {
		case map[string]any:
			if !validPattern(v) {
				return false
			}
		case []any:
			if len(v) == 0 || slices.ContainsFunc(v, func(v any) bool { return !validMatch(key, v) }) {
				return false
			}
		default:
			return false
		}
	}
	return pattern != nil
}

// validMatch tells whether v is a literal or a known comparison; of "$or" it is a pattern.
func validMatch(key string, v any) bool {
	switch v := v.(type) {
	case map[string]any:
		if key == "$or" {
			return validPattern(v)
		}
		for operator := range v {
			if !slices.Contains([]string{"prefix", "suffix", "anything-but", "numeric", "exists", "equals-ignore-case", "wildcard"}, operator) {
				return false
			}
		}
		return len(v) == 1
	case []any:
		return false
	}
	return true
}
