// Package cloudformation deploys templates: it makes, changes and deletes stacks of resources in the other
// services, and puts back what was when that fails.
//
// # How a stack is deployed
//
// A call that changes a stack checks everything that can be known, stores the intention (an operation) in
// the stack's row and returns. The engine, [Service.Run], carries operations: it evaluates each resource
// when those that it refers to are there, writes down what it is about to do, calls the other service
// through [service.Caller] with the identity of the stack's caller (or of its role), and writes down what
// came of it. Independent resources go in parallel. A process that dies half way leaves a row that says
// which calls were under way: the next one finds out what they made, by name or by looking, and goes on.
// A lease with a fencing number keeps two engines from working on one stack.
//
// An operation goes forward, and when a resource fails back: what it changed is set to the old properties,
// what it replaced is the old thing again, what it made is deleted. Nothing that the stack had is deleted
// before everything else has succeeded. Where its caller disabled rollback it stops instead, with what failed
// put back and the rest as it got: an update may go on from there, as often as it takes, and RollbackStack
// goes back to where the stack last was whole.
//
// # Resource types
//
// One file resource_*.go for each service, a few lines for each type: see [resourceType]. A type that is
// not in the table is refused before anything is made.
//
// # Differences from AWS
//
// Change sets are ready when CreateChangeSet returns. Resources that were under way when another failed
// are heard out rather than cancelled. What a cleanup could not delete is tried again by the next operation.
// A version that an earlier deployment of a function left behind becomes a new Version resource's. Drift detection, imports, nested stacks, custom resources, stack
// sets, hooks, rollback triggers and notifications are refused by name.
package cloudformation

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"lambent/cloud"
	"lambent/kv"
	"lambent/service"
)

// Service is CloudFormation.
type Service struct {
	kv     *kv.Store
	call   service.Caller
	domain string
	node   string
	log    *slog.Logger
	types  map[string]*resourceType
}

// Config says what the service must know of its surroundings.
type Config struct {
	Domain string // what the cloud calls itself, with its port: AWS::URLSuffix
	Node   string // name of this node among those that share the store; "" means the only one

	Log *slog.Logger // nil: nothing is logged
}

// New makes the service over its room of the store. caller reaches the other services.
func New(store *kv.Store, caller service.Caller, c Config) *Service {
	s := &Service{kv: store, call: caller, domain: c.Domain, node: c.Node, log: c.Log, types: map[string]*resourceType{}}
	if s.node == "" {
		s.node = "local"
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for _, t := range resourceTypes() {
		t.schema = parseSchema(t.Schema)
		s.types[t.Name] = t
	}
	return s
}

// Types returns the names of the resource types that templates may use, sorted.
func (s *Service) Types() []string { return slices.Sorted(maps.Keys(s.types)) }

// Service returns the table of operations.
func (s *Service) Service() service.Service {
	return service.Service{API: apiModel(), Operations: []service.Operation{
		service.On(service.Op("CreateStack", s.createStack), func(c cloud.Caller, in *CreateStackInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("UpdateStack", s.updateStack), func(c cloud.Caller, in *UpdateStackInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("DeleteStack", s.deleteStack), func(c cloud.Caller, in *DeleteStackInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("CancelUpdateStack", s.cancelUpdateStack), func(c cloud.Caller, in *CancelUpdateStackInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("ContinueUpdateRollback", s.continueUpdateRollback), func(c cloud.Caller, in *ContinueUpdateRollbackInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("RollbackStack", s.rollbackStack), func(c cloud.Caller, in *RollbackStackInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("DescribeStacks", s.describeStacks), func(c cloud.Caller, in *DescribeStacksInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("DescribeStackEvents", s.describeStackEvents), func(c cloud.Caller, in *DescribeStackEventsInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("DescribeStackResource", s.describeStackResource), func(c cloud.Caller, in *DescribeStackResourceInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("DescribeStackResources", s.describeStackResources), func(c cloud.Caller, in *DescribeStackResourcesInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("ListStackResources", s.listStackResources), func(c cloud.Caller, in *ListStackResourcesInput) []string { return stackARN(c, in.StackName) }),
		service.Op("ListStacks", s.listStacks),
		service.On(service.Op("GetTemplate", s.getTemplate), func(c cloud.Caller, in *GetTemplateInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("GetTemplateSummary", s.getTemplateSummary), func(c cloud.Caller, in *GetTemplateSummaryInput) []string { return stackARN(c, in.StackName) }),
		service.Op("ValidateTemplate", s.validateTemplate),
		service.On(service.Op("CreateChangeSet", s.createChangeSet), func(c cloud.Caller, in *CreateChangeSetInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("DescribeChangeSet", s.describeChangeSet), func(c cloud.Caller, in *DescribeChangeSetInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("ExecuteChangeSet", s.executeChangeSet), func(c cloud.Caller, in *ExecuteChangeSetInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("DeleteChangeSet", s.deleteChangeSet), func(c cloud.Caller, in *DeleteChangeSetInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("ListChangeSets", s.listChangeSets), func(c cloud.Caller, in *ListChangeSetsInput) []string { return stackARN(c, in.StackName) }),
		service.Op("ListExports", s.listExports),
		service.Op("ListImports", s.listImports),
		service.On(service.Op("SetStackPolicy", s.setStackPolicy), func(c cloud.Caller, in *SetStackPolicyInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("GetStackPolicy", s.getStackPolicy), func(c cloud.Caller, in *GetStackPolicyInput) []string { return stackARN(c, in.StackName) }),
		service.On(service.Op("UpdateTerminationProtection", s.updateTerminationProtection), func(c cloud.Caller, in *UpdateTerminationProtectionInput) []string { return stackARN(c, in.StackName) }),
	}}
}

// stackARN is what policies name: the stack's id, or any stack of the name.
func stackARN(c cloud.Caller, nameOrID *string) []string {
	if nameOrID == nil {
		return nil
	}
	if _, ok := cloud.ParseARN(*nameOrID); ok {
		return []string{*nameOrID}
	}
	return []string{c.ARNOf("cloudformation", "stack/"+*nameOrID+"/*")}
}

func invalid(format string, args ...any) *cloud.Fault {
	return cloud.Faultf("ValidationError", format, args...)
}

// newUUID makes a random UUID, as stacks, events and change sets have them.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
