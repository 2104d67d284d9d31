package plan_test

import (
	"strings"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/wire/plan"
)

type tag struct {
	Key   *string `name:"TagKey" req:"" len:"1:8"`
	Value *string `name:"TagValue" len:":4"`
}

type table struct {
	Name     *string            `name:"TableName" len:"3:10" pat:"[a-z]+"`
	Kind     *string            `name:"Kind" enum:"HASH,RANGE"`
	Limit    *int32             `name:"Limit" range:"1:10"`
	Ratio    *float64           `name:"Ratio" range:"0.5:"`
	Secret   *string            `name:"Secret" len:":2" sensitive:""`
	Data     []byte             `name:"Data" len:":3"`
	Layers   []string           `name:"Layers" len:":2" e.len:"1:20" e.pat:"arn:.*"`
	Modes    []string           `name:"Modes" e.enum:"A,B"`
	Tags     []tag              `name:"Tags"`
	Env      map[string]string  `name:"Environment" k.pat:"[a-zA-Z]+" e.len:":3"`
	ByName   map[string]tag     `name:"ByName"`
	Child    *table             `name:"Child"`
	Created  *time.Time         `name:"Created"`
	Required *string            `name:"Required" req:""`
	Once     []string           `name:"Once" uniq:""`
	Pairs    []map[string]int32 `name:"Pairs" uniq:""`
}

func TestValidate(t *testing.T) {
	ok := new("x")
	tests := []struct {
		name string
		in   table
		want string
	}{
		{"nothing", table{Required: ok}, ""},
		{"null", table{}, "1 validation error detected: Value null at 'required' failed to satisfy constraint: Member must not be null"},
		{
			"pattern before length, two errors", table{Name: new("A"), Required: ok},
			"2 validation errors detected: Value 'A' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]+; " +
				"Value 'A' at 'tableName' failed to satisfy constraint: Member must have length greater than or equal to 3",
		},
		{
			"length counts characters", table{Name: new("ääääääääää"), Required: ok},
			"1 validation error detected: Value 'ääääääääää' at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]+",
		},
		{"unlike each other", table{Once: []string{"a", "b", ""}, Pairs: []map[string]int32{{"a": 1}, {"a": 2}, {"b": 1}, {}}, Required: ok}, ""},
		{
			"twice", table{Once: []string{"a", "b", "a"}, Required: ok},
			"1 validation error detected: Value '[a, b, a]' at 'once' failed to satisfy constraint: Member must have unique values",
		},
		{
			"a map twice", table{Pairs: []map[string]int32{{"a": 1, "b": 2}, {"b": 2, "a": 1}}, Required: ok},
			"1 validation error detected: Value '[{a=1, b=2}, {a=1, b=2}]' at 'pairs' failed to satisfy constraint: Member must have unique values",
		},
		{
			"too long", table{Name: new("aaaaaaaaaaa"), Required: ok},
			"1 validation error detected: Value 'aaaaaaaaaaa' at 'tableName' failed to satisfy constraint: Member must have length less than or equal to 10",
		},
		{
			"enum", table{Kind: new("hash"), Required: ok},
			"1 validation error detected: Value 'hash' at 'kind' failed to satisfy constraint: Member must satisfy enum value set: [HASH, RANGE]",
		},
		{
			"range", table{Limit: new(int32(10001)), Ratio: new(0.25), Required: ok},
			"2 validation errors detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10; " +
				"Value '0.25' at 'ratio' failed to satisfy constraint: Member must have value greater than or equal to 0.5",
		},
		// kms: "Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096"
		{
			"sensitive", table{Secret: new("abc"), Required: ok},
			"1 validation error detected: Value at 'secret' failed to satisfy constraint: Member must have length less than or equal to 2",
		},
		{
			"blob", table{Data: []byte("1234"), Required: ok},
			"1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=4 cap=4]' at 'data' failed to satisfy constraint: Member must have length less than or equal to 3",
		},
		// lambda, layers: the constraints of the elements in this order, at the list
		{
			"plain elements", table{Layers: []string{"x"}, Required: ok},
			"1 validation error detected: Value '[x]' at 'layers' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 20, " +
				"Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: arn:.*, Member must not be null]",
		},
		// apigateway, endpointConfiguration.types
		{
			"enum elements", table{Modes: []string{"A", "wrong"}, Required: ok},
			"1 validation error detected: Value '[A, wrong]' at 'modes' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [A, B]]",
		},
		// kms: "Value '…' at 'tags.1.member.tagKey' failed to satisfy constraint"
		{
			"structures in lists", table{Tags: []tag{{Key: new("k")}, {Key: new("k"), Value: new("vvvvv")}, {}}, Required: ok},
			"2 validation errors detected: Value 'vvvvv' at 'tags.2.member.tagValue' failed to satisfy constraint: Member must have length less than or equal to 4; " +
				"Value null at 'tags.3.member.tagKey' failed to satisfy constraint: Member must not be null",
		},
		{
			"map keys and values", table{Env: map[string]string{"a1": "x", "b": "long"}, Required: ok},
			"2 validation errors detected: Value '{a1=x, b=long}' at 'environment' failed to satisfy constraint: Map keys must satisfy constraint: " +
				"[Member must satisfy regular expression pattern: [a-zA-Z]+, Member must not be null]; " +
				"Value '{a1=x, b=long}' at 'environment' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 3, Member must not be null]",
		},
		{
			"structures in maps", table{ByName: map[string]tag{"one": {}}, Required: ok},
			"1 validation error detected: Value null at 'byName.one.member.tagKey' failed to satisfy constraint: Member must not be null",
		},
		{
			"nested", table{Child: &table{Limit: new(int32(0)), Required: ok}, Required: ok},
			"1 validation error detected: Value '0' at 'child.limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
		},
		{
			"a list of structures as value", table{Layers: []string{"arn:1", "arn:2", "arn:3"}, Required: ok},
			"1 validation error detected: Value '[arn:1, arn:2, arn:3]' at 'layers' failed to satisfy constraint: Member must have length less than or equal to 2",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := plan.Validate(&tt.in, plan.Rules{})
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if got := cloud.FaultCode(err); got != "ValidationException" {
				t.Errorf("code %q", got)
			}
			if got := strings.TrimPrefix(err.Error(), "ValidationException: "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// iam: "Value at 'status' failed to satisfy constraint: Member must satisfy enum value set"
func TestValidateBrief(t *testing.T) {
	err := plan.Validate(&table{Kind: new("x"), Name: new("UPPER"), Required: new("")}, plan.Rules{Code: "ValidationError", Brief: true})
	want := "ValidationError: 2 validation errors detected: Value at 'tableName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]+; " +
		"Value at 'kind' failed to satisfy constraint: Member must satisfy enum value set"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// apigateway: "Value 'wrong' at 'createRestApiInput.endpointConfiguration.ipAddressType' failed…"
func TestValidateBodyRoot(t *testing.T) {
	type input struct {
		ID   *string `name:"id" in:"uri" len:":1"`
		Kind *string `name:"kind" enum:"A"`
	}
	err := plan.Validate(&input{new("12"), new("x")}, plan.Rules{BodyRoot: "createInput"})
	want := "ValidationException: 2 validation errors detected: Value '12' at 'id' failed to satisfy constraint: Member must have length less than or equal to 1; " +
		"Value 'x' at 'createInput.kind' failed to satisfy constraint: Member must satisfy enum value set: [A]"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestValidateIsBounded(t *testing.T) {
	in := table{Required: new(""), Tags: make([]tag, 10000)}
	err := plan.Validate(&in, plan.Rules{})
	if err == nil || len(err.Error()) > 10000 {
		t.Errorf("a message of %d bytes", len(err.Error()))
	}
}
