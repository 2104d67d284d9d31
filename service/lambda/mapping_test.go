package lambda_test

import (
	"encoding/json"
	"maps"
	"testing"

	"lambent/service/lambda"
)

// mapping is what a client sees of one, without what changes from run to run.
func mapping(t *testing.T, m *lambda.EventSourceMappingConfiguration) map[string]any {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	json.Unmarshal(text, &out)
	maps.DeleteFunc(out, func(k string, v any) bool {
		return v == nil || k == "UUID" || k == "EventSourceMappingArn" || k == "LastModified"
	})
	if d, ok := out["DestinationConfig"].(map[string]any); ok {
		maps.DeleteFunc(d, func(_ string, v any) bool { return v == nil })
		for _, to := range d {
			maps.DeleteFunc(to.(map[string]any), func(_ string, v any) bool { return v == nil })
		}
	}
	return out
}

// TestMappings follows aws-replies: test_lambda_api.py::TestLambdaEventSourceMappings.
func TestMappings(t *testing.T) {
	const queue, table = "arn:aws:sqs:us-east-1:111111111111:q", "arn:aws:dynamodb:us-east-1:111111111111:table/t/stream/s"
	b := newBench(t)
	b.create("f")
	in := func(source string, change ...func(*lambda.CreateEventSourceMappingInput)) *lambda.CreateEventSourceMappingInput {
		in := &lambda.CreateEventSourceMappingInput{FunctionName: new("f"), EventSourceArn: new(source)}
		if source == "" {
			in.EventSourceArn = nil
		}
		for _, f := range change {
			f(in)
		}
		return in
	}
	from := func(position string) func(*lambda.CreateEventSourceMappingInput) {
		return func(in *lambda.CreateEventSourceMappingInput) { in.StartingPosition = new(position) }
	}
	filter := func(patterns ...string) func(*lambda.CreateEventSourceMappingInput) {
		return func(in *lambda.CreateEventSourceMappingInput) {
			in.FilterCriteria = &lambda.FilterCriteria{Filters: []lambda.Filter{}}
			for _, p := range patterns {
				in.FilterCriteria.Filters = append(in.FilterCriteria.Filters, lambda.Filter{Pattern: new(p)})
			}
		}
	}
	b.fails(in(queue), "NotImplemented", "SQS") // nothing reads queues yet
	b.fails(in("arn:aws:mq:us-east-1:111111111111:broker:b"), "NotImplemented", "mq")
	b.s.Sources = []string{"sqs", "dynamodb", "kafka"}
	b.fails(in("arn:aws:kinesis:us-east-1:111111111111:stream/s", from("LATEST")), "NotImplemented", "Kinesis")

	for _, tt := range []struct {
		name          string
		in            *lambda.CreateEventSourceMappingInput
		code, message string
	}{
		{"no source", in(""), "InvalidParameterValueException", "Unrecognized event source."},
		{"no position", in(table), "InvalidParameterValueException", "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null."},
		{"position", in(table, from("AT_TIMESTAMP")), "InvalidParameterValueException", "Unsupported starting position for arn type: " + table},
		{"no function", in(queue, func(in *lambda.CreateEventSourceMappingInput) { in.FunctionName = new("nope") }), "InvalidParameterValueException", "Function does not exist"},
		{"batch", in(queue, func(in *lambda.CreateEventSourceMappingInput) { in.BatchSize = new(int32(11)) }), "InvalidParameterValueException", "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"},
		{"filter text", in(queue, filter("x")), "InvalidParameterValueException", "Invalid filter pattern definition."},
		{"filter leaf", in(queue, filter(`{"a":"b"}`)), "InvalidParameterValueException", "Invalid filter pattern definition."},
		{"filter operator", in(queue, filter(`{"a":[{"like":"b"}]}`)), "InvalidParameterValueException", "Invalid filter pattern definition."},
		{"success destination", in(queue, func(in *lambda.CreateEventSourceMappingInput) {
			in.DestinationConfig = &lambda.DestinationConfig{OnSuccess: &lambda.OnSuccess{}}
		}), "InvalidParameterValueException", "Unsupported DestinationConfig parameter for given event source mapping type."},
		{"kafka access", in("", func(in *lambda.CreateEventSourceMappingInput) {
			in.SelfManagedEventSource = &lambda.SelfManagedEventSource{}
		}), "InvalidParameterValueException", "Required 'sourceAccessConfigurations' parameter is missing."},
		{"key", in(queue, func(in *lambda.CreateEventSourceMappingInput) { in.KMSKeyArn = new("arn:aws:kms:x") }), "NotImplemented", "KMSKeyArn"},
	} {
		t.Run(tt.name, func(t *testing.T) { b.fails(tt.in, tt.code, tt.message) })
	}

	made := must[lambda.EventSourceMappingConfiguration](b, in(queue, func(in *lambda.CreateEventSourceMappingInput) { in.Tags = map[string]string{"a": "b"} }))
	same(t, "queue", mapping(t, made), map[string]any{"BatchSize": 10.0, "EventSourceArn": queue, "FunctionArn": arn + "f", "FunctionResponseTypes": []any{},
		"MaximumBatchingWindowInSeconds": 0.0, "State": "Creating", "StateTransitionReason": "USER_INITIATED"})
	if *made.EventSourceMappingArn != "arn:aws:lambda:us-east-1:111111111111:event-source-mapping:"+*made.UUID {
		t.Errorf("ARN %s", *made.EventSourceMappingArn)
	}
	if got := must[lambda.ListTagsOutput](b, &lambda.ListTagsInput{Resource: made.EventSourceMappingArn}).Tags; got["a"] != "b" {
		t.Errorf("tags %v", got)
	}
	b.fails(in(queue), "ResourceConflictException", "provided mapping already exists. Please update or delete the existing mapping with UUID "+*made.UUID)
	stream := must[lambda.EventSourceMappingConfiguration](b, in(table, from("TRIM_HORIZON"), filter()))
	same(t, "stream", mapping(t, stream), map[string]any{"BatchSize": 100.0, "BisectBatchOnFunctionError": false, "DestinationConfig": map[string]any{"OnFailure": map[string]any{}},
		"EventSourceArn": table, "FunctionArn": arn + "f", "FunctionResponseTypes": []any{}, "LastProcessingResult": "No records processed", "MaximumBatchingWindowInSeconds": 0.0,
		"MaximumRecordAgeInSeconds": -1.0, "MaximumRetryAttempts": -1.0, "ParallelizationFactor": 1.0, "StartingPosition": "TRIM_HORIZON", "State": "Creating",
		"StateTransitionReason": "User action", "TumblingWindowInSeconds": 0.0})
	kafka := in("", func(in *lambda.CreateEventSourceMappingInput) {
		in.SelfManagedEventSource = &lambda.SelfManagedEventSource{Endpoints: map[string][]string{"KAFKA_BOOTSTRAP_SERVERS": {"kafka:1000"}}}
		in.SourceAccessConfigurations, in.Topics = []lambda.SourceAccessConfiguration{{Type: new("BASIC_AUTH")}}, []string{"topic"}
	})
	must[lambda.EventSourceMappingConfiguration](b, kafka)
	b.fails(kafka, "ResourceConflictException", `An event source mapping with event source ("kafka:1000"), function ("`+arn+`f"), topics ("topic") already exists.`)

	updated := must[lambda.EventSourceMappingConfiguration](b, &lambda.UpdateEventSourceMappingInput{UUID: made.UUID, Enabled: new(false), BatchSize: new(int32(5)),
		FilterCriteria: &lambda.FilterCriteria{Filters: []lambda.Filter{{Pattern: new(`{"body":{"a":[{"prefix":"x"},1,null]}}`)}}}})
	if *updated.State != "Updating" || *updated.BatchSize != 5 {
		t.Errorf("updated %v", mapping(t, updated))
	}
	if got := must[lambda.EventSourceMappingConfiguration](b, &lambda.GetEventSourceMappingInput{UUID: made.UUID}); *got.State != "Disabled" || got.FilterCriteria == nil {
		t.Errorf("got %v", mapping(t, got))
	}
	if got := must[lambda.ListEventSourceMappingsOutput](b, &lambda.ListEventSourceMappingsInput{EventSourceArn: new(queue), FunctionName: new("f")}).EventSourceMappings; len(got) != 1 || *got[0].UUID != *made.UUID {
		t.Errorf("list %+v", got)
	}
	if got := must[lambda.EventSourceMappingConfiguration](b, &lambda.DeleteEventSourceMappingInput{UUID: made.UUID}); *got.State != "Deleting" {
		t.Errorf("deleted %v", mapping(t, got))
	}
	for _, gone := range []any{&lambda.GetEventSourceMappingInput{UUID: made.UUID}, &lambda.UpdateEventSourceMappingInput{UUID: made.UUID}, &lambda.DeleteEventSourceMappingInput{UUID: made.UUID}} {
		b.fails(gone, "ResourceNotFoundException", "The resource you requested does not exist.")
	}
}
