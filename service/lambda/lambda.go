// Package lambda is AWS Lambda's API over package invoke: functions with versions, aliases, permissions and URLs, the layers
// that they share, and what is mapped to them.
//
// # Keys
//
// All begin with account and region, except the index of URLs:
//
//	(a, r, "function", name)               what all versions share; see functionRow
//	(a, r, "version", name, n)             one version; 0 is $LATEST
//	(a, r, "alias", name, alias)
//	(a, r, "policy", name, qualifier)      resource policy; "" is the function itself
//	(a, r, "eventconfig", name, qualifier) rules for asynchronous events; "$LATEST" is the function itself
//	(a, r, "url", name, qualifier)         function URL; "" is the function itself
//	(a, r, "mark", name)                   moves with every commit that touches the function: caches compare it
//	(a, r, "reserved")                     sum of reserved and provisioned concurrency, moves likewise
//	("provisioned", a, r, name)            a function that has provisioned concurrency
//	(a, r, "layer", name)                  which number a layer gave out last
//	(a, r, "layerversion", name, n)        one version of a layer
//	(a, r, "layerpolicy", name, n)         which other accounts may use it
//	(a, r, "codesigning", id)              whose signatures functions ask for
//	(a, r, "codesigninguse", id, name)     a function that does
//	(a, r, "storage")                      sum of the code of all versions, zipped
//	(a, r, "mapping", uuid)                an event source mapping
//	("url", id)                            which function a URL is
//
// Environment variables are encrypted in their row; [Config.Key] wraps the key of each.
//
// The package of each version is a blob that its row references; the last reference to go lets the sweep take it. A
// function's version references its layers' too, so it goes on when they are deleted, as on AWS.
//
// # Differences from AWS
//
// A function is Active, and an update Successful, as soon as its operation answers; the replies say Pending and
// InProgress as AWS's do. Runtimes that AWS has retired are accepted where this host can run them. Of VpcConfig,
// TracingConfig and SnapStart: the first two are kept and shown (there is no VPC to join and no X-Ray to send to), the
// third is refused. Recursive calls are not detected, whatever the recursion configuration says. Nothing signs code, so
// a function whose code signing configuration says Enforce takes no new code. In a cluster each server keeps all of a
// version's provisioned concurrency, and tells of its own. Extensions of layers are not started. Container images, file
// systems and dead-letter queues are not there yet and say so; so do event source mappings of sources that nothing reads.
package lambda

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"lambent/blob"
	"lambent/cloud"
	"lambent/invoke"
	"lambent/kv"
	"lambent/service"
)

// Objects reads code packages out of S3. Faults carry S3's own codes (NoSuchBucket, NoSuchKey, AccessDenied).
type Objects interface {
	GetObject(ctx context.Context, c cloud.Caller, bucket, key, version string) (io.ReadCloser, error)
}

// Roles says whether Lambda may assume a role: it exists and trusts the service.
type Roles interface {
	Assumable(ctx context.Context, account, roleARN, principal string) (bool, error)
}

// Identities knows the policies of who signs requests. No is a *cloud.Fault with the code "AccessDenied".
type Identities interface {
	Authorize(ctx context.Context, c cloud.Caller, action string, resources []string) error
}

// Config is what a Service is made of.
type Config struct {
	KV         *kv.Store // a room of its own
	Blobs      *blob.Store
	Key        []byte // 32 bytes; seals environment variables
	Invoker    *invoke.Invoker
	Objects    Objects
	Roles      Roles          // nil: every well-formed role is taken
	Identities Identities     // nil: none but root may call a URL that asks for signatures
	Sources    []string       // services whose event source mappings are served here: "sqs"; others are refused
	Domain     string         // what the cloud calls itself: "localhost:4566"
	Members    invoke.Members // processes that share the store; nil when this one is alone
	Log        *slog.Logger   // nil: nothing is logged
}

// Service is the Lambda service.
type Service struct {
	Config
	queue  *invoke.Queue
	links  links
	sealer sealer

	provisioner *provisioner

	mu    sync.Mutex
	cache map[functionID]*snapshot
}

// New makes the service.
func New(c Config) (*Service, error) {
	links, err := newLinks()
	if err != nil {
		return nil, fmt.Errorf("lambda: %w", err)
	}
	sealer, err := newSealer(c.Key)
	if err != nil {
		return nil, fmt.Errorf("lambda: %w", err)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{Config: c, links: links, sealer: sealer, cache: map[functionID]*snapshot{}, provisioner: newProvisioner()}
	s.queue = invoke.NewQueue(c.KV.In("async"), c.Invoker, s)
	s.queue.Members = c.Members
	return s, nil
}

// Run runs asynchronous events and keeps provisioned sandboxes until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var keeping sync.WaitGroup
	keeping.Go(func() { s.runProvisioner(ctx) })
	defer keeping.Wait()
	return s.queue.Run(ctx)
}

// AsyncStats tells what waits among the asynchronous events, and what runs.
func (s *Service) AsyncStats(ctx context.Context) (invoke.QueueStats, error) {
	return s.queue.Stats(ctx)
}

// Service is the table of operations.
func (s *Service) Service() service.Service {
	return service.Service{
		API: apiModel(),
		Operations: []service.Operation{
			service.On(service.Op("CreateFunction", s.createFunction), named(func(in *CreateFunctionInput) *string { return in.FunctionName })),
			service.On(service.Op("GetFunction", s.getFunction), named(func(in *GetFunctionInput) *string { return in.FunctionName })),
			service.On(service.Op("GetFunctionConfiguration", s.getFunctionConfiguration), named(func(in *GetFunctionConfigurationInput) *string { return in.FunctionName })),
			service.On(service.Op("UpdateFunctionCode", s.updateFunctionCode), named(func(in *UpdateFunctionCodeInput) *string { return in.FunctionName })),
			service.On(service.Op("UpdateFunctionConfiguration", s.updateFunctionConfiguration), named(func(in *UpdateFunctionConfigurationInput) *string { return in.FunctionName })),
			service.On(service.Op("DeleteFunction", s.deleteFunction), named(func(in *DeleteFunctionInput) *string { return in.FunctionName })),
			service.Op("ListFunctions", s.listFunctions),
			service.On(service.Op("PublishVersion", s.publishVersion), named(func(in *PublishVersionInput) *string { return in.FunctionName })),
			service.On(service.Op("ListVersionsByFunction", s.listVersionsByFunction), named(func(in *ListVersionsByFunctionInput) *string { return in.FunctionName })),
			service.On(service.Op("CreateAlias", s.createAlias), named(func(in *CreateAliasInput) *string { return in.FunctionName })),
			service.On(service.Op("GetAlias", s.getAlias), named(func(in *GetAliasInput) *string { return in.FunctionName })),
			service.On(service.Op("UpdateAlias", s.updateAlias), named(func(in *UpdateAliasInput) *string { return in.FunctionName })),
			service.On(service.Op("DeleteAlias", s.deleteAlias), named(func(in *DeleteAliasInput) *string { return in.FunctionName })),
			service.On(service.Op("ListAliases", s.listAliases), named(func(in *ListAliasesInput) *string { return in.FunctionName })),
			service.On(service.Op("AddPermission", s.addPermission), named(func(in *AddPermissionInput) *string { return in.FunctionName })),
			service.On(service.Op("RemovePermission", s.removePermission), named(func(in *RemovePermissionInput) *string { return in.FunctionName })),
			service.On(service.Op("GetPolicy", s.getPolicy), named(func(in *GetPolicyInput) *string { return in.FunctionName })),
			service.On(service.Op("PutFunctionConcurrency", s.putFunctionConcurrency), named(func(in *PutFunctionConcurrencyInput) *string { return in.FunctionName })),
			service.On(service.Op("GetFunctionConcurrency", s.getFunctionConcurrency), named(func(in *GetFunctionConcurrencyInput) *string { return in.FunctionName })),
			service.On(service.Op("DeleteFunctionConcurrency", s.deleteFunctionConcurrency), named(func(in *DeleteFunctionConcurrencyInput) *string { return in.FunctionName })),
			service.On(service.Op("PutFunctionEventInvokeConfig", s.putEventInvokeConfig), named(func(in *PutFunctionEventInvokeConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("UpdateFunctionEventInvokeConfig", s.updateEventInvokeConfig), named(func(in *UpdateFunctionEventInvokeConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("GetFunctionEventInvokeConfig", s.getEventInvokeConfig), named(func(in *GetFunctionEventInvokeConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("ListFunctionEventInvokeConfigs", s.listEventInvokeConfigs), named(func(in *ListFunctionEventInvokeConfigsInput) *string { return in.FunctionName })),
			service.On(service.Op("DeleteFunctionEventInvokeConfig", s.deleteEventInvokeConfig), named(func(in *DeleteFunctionEventInvokeConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("CreateFunctionUrlConfig", s.createURL), named(func(in *CreateFunctionUrlConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("GetFunctionUrlConfig", s.getURL), named(func(in *GetFunctionUrlConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("UpdateFunctionUrlConfig", s.updateURL), named(func(in *UpdateFunctionUrlConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("DeleteFunctionUrlConfig", s.deleteURL), named(func(in *DeleteFunctionUrlConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("ListFunctionUrlConfigs", s.listURLs), named(func(in *ListFunctionUrlConfigsInput) *string { return in.FunctionName })),
			service.On(service.Op("TagResource", s.tagResource), named(func(in *TagResourceInput) *string { return in.Resource })),
			service.On(service.Op("UntagResource", s.untagResource), named(func(in *UntagResourceInput) *string { return in.Resource })),
			service.On(service.Op("ListTags", s.listTags), named(func(in *ListTagsInput) *string { return in.Resource })),
			service.Op("GetAccountSettings", s.getAccountSettings),
			service.On(service.Op("Invoke", s.invoke), named(func(in *InvokeInput) *string { return in.FunctionName })).As("lambda:InvokeFunction"),
			service.On(service.Op("InvokeAsync", s.invokeAsync), named(func(in *InvokeAsyncInput) *string { return in.FunctionName })).As("lambda:InvokeFunction"),
			service.On(service.Op("InvokeWithResponseStream", s.invokeWithStream), named(func(in *InvokeWithResponseStreamInput) *string { return in.FunctionName })).As("lambda:InvokeFunction"),
			service.On(service.Op("GetFunctionCodeSigningConfig", s.getFunctionCodeSigning), named(func(in *GetFunctionCodeSigningConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("GetRuntimeManagementConfig", s.getRuntimeManagementConfig), named(func(in *GetRuntimeManagementConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("PutRuntimeManagementConfig", s.putRuntimeManagementConfig), named(func(in *PutRuntimeManagementConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("GetFunctionRecursionConfig", s.getRecursionConfig), named(func(in *GetFunctionRecursionConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("PutFunctionRecursionConfig", s.putRecursionConfig), named(func(in *PutFunctionRecursionConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("PutFunctionCodeSigningConfig", s.putFunctionCodeSigning), named(func(in *PutFunctionCodeSigningConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("DeleteFunctionCodeSigningConfig", s.deleteFunctionCodeSigning), named(func(in *DeleteFunctionCodeSigningConfigInput) *string { return in.FunctionName })),
			service.Op("CreateCodeSigningConfig", s.createCodeSigningConfig),
			service.On(service.Op("GetCodeSigningConfig", s.getCodeSigning), func(_ cloud.Caller, in *GetCodeSigningConfigInput) []string {
				return []string{cloud.Val(in.CodeSigningConfigArn)}
			}),
			service.On(service.Op("UpdateCodeSigningConfig", s.updateCodeSigningConfig), func(_ cloud.Caller, in *UpdateCodeSigningConfigInput) []string {
				return []string{cloud.Val(in.CodeSigningConfigArn)}
			}),
			service.On(service.Op("DeleteCodeSigningConfig", s.deleteCodeSigningConfig), func(_ cloud.Caller, in *DeleteCodeSigningConfigInput) []string {
				return []string{cloud.Val(in.CodeSigningConfigArn)}
			}),
			service.Op("ListCodeSigningConfigs", s.listCodeSigningConfigs),
			service.On(service.Op("ListFunctionsByCodeSigningConfig", s.listFunctionsByCodeSigningConfig), func(_ cloud.Caller, in *ListFunctionsByCodeSigningConfigInput) []string {
				return []string{cloud.Val(in.CodeSigningConfigArn)}
			}),
			service.On(service.Op("PutProvisionedConcurrencyConfig", s.putProvisioned), named(func(in *PutProvisionedConcurrencyConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("GetProvisionedConcurrencyConfig", s.getProvisioned), named(func(in *GetProvisionedConcurrencyConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("DeleteProvisionedConcurrencyConfig", s.deleteProvisioned), named(func(in *DeleteProvisionedConcurrencyConfigInput) *string { return in.FunctionName })),
			service.On(service.Op("ListProvisionedConcurrencyConfigs", s.listProvisioned), named(func(in *ListProvisionedConcurrencyConfigsInput) *string { return in.FunctionName })),
			service.On(service.Op("CreateEventSourceMapping", s.createMapping), named(func(in *CreateEventSourceMappingInput) *string { return in.FunctionName })),
			service.On(service.Op("GetEventSourceMapping", s.getMapping), mappingARN(func(in *GetEventSourceMappingInput) *string { return in.UUID })),
			service.On(service.Op("UpdateEventSourceMapping", s.updateMapping), mappingARN(func(in *UpdateEventSourceMappingInput) *string { return in.UUID })),
			service.On(service.Op("DeleteEventSourceMapping", s.deleteMapping), mappingARN(func(in *DeleteEventSourceMappingInput) *string { return in.UUID })),
			service.Op("ListEventSourceMappings", s.listMappings),
			service.On(service.Op("PublishLayerVersion", s.publishLayerVersion), ofLayer(func(in *PublishLayerVersionInput) *string { return in.LayerName }, nil)),
			service.On(service.Op("GetLayerVersion", s.getLayerVersion), ofLayer(func(in *GetLayerVersionInput) *string { return in.LayerName }, func(in *GetLayerVersionInput) *int64 { return in.VersionNumber })),
			service.On(service.Op("GetLayerVersionByArn", s.getLayerVersionByARN), func(_ cloud.Caller, in *GetLayerVersionByArnInput) []string { return []string{cloud.Val(in.Arn)} }).As("lambda:GetLayerVersion"),
			service.On(service.Op("DeleteLayerVersion", s.deleteLayerVersion), ofLayer(func(in *DeleteLayerVersionInput) *string { return in.LayerName }, func(in *DeleteLayerVersionInput) *int64 { return in.VersionNumber })),
			service.Op("ListLayers", s.listLayers),
			service.Op("ListLayerVersions", s.listLayerVersions),
			service.On(service.Op("AddLayerVersionPermission", s.addLayerPermission), ofLayer(func(in *AddLayerVersionPermissionInput) *string { return in.LayerName }, func(in *AddLayerVersionPermissionInput) *int64 { return in.VersionNumber })),
			service.On(service.Op("RemoveLayerVersionPermission", s.removeLayerPermission), ofLayer(func(in *RemoveLayerVersionPermissionInput) *string { return in.LayerName }, func(in *RemoveLayerVersionPermissionInput) *int64 { return in.VersionNumber })),
			service.On(service.Op("GetLayerVersionPolicy", s.getLayerPolicy), ofLayer(func(in *GetLayerVersionPolicyInput) *string { return in.LayerName }, func(in *GetLayerVersionPolicyInput) *int64 { return in.VersionNumber })),
		},
		Endpoints: []service.Endpoint{
			{Label: "lambda-url", Path: urlPath, Serve: s.serveURL},
			{Label: "lambda-code", Path: codePath, Serve: s.serveCode},
		},
	}
}

// named tells the policy hook which function an input is about.
func named[I any](name func(*I) *string) func(cloud.Caller, *I) []string {
	return func(c cloud.Caller, in *I) []string {
		r, err := parseName(c, cloud.Val(name(in)), "")
		if err != nil {
			return nil
		}
		return []string{r.arn()}
	}
}
