package lambda

import (
	"context"
	"encoding/json"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"lambent/cloud"
	"lambent/invoke"
)

// Limits and defaults of a function's configuration, as on AWS.
const (
	defaultTimeout = 3
	defaultMemory  = 128
	defaultTmp     = 512
	maxTimeout     = 900
	maxMemory      = 10240
	maxTmp         = 10240
	maxEnv         = 4096
	maxTags        = 50
)

// settings is what CreateFunction and UpdateFunctionConfiguration have in common. Nil means not given.
type settings struct {
	role, handler, runtime, desc *string
	timeout, memory              *int32
	env                          *Environment
	vpc                          *VpcConfig
	tracing                      *TracingConfig
	tmp                          *EphemeralStorage
	logging                      *LoggingConfig
}

// apply changes v to what is given, and checks the whole.
func (g settings) apply(v *versionRow) error {
	set(&v.Role, g.role)
	set(&v.Handler, g.handler)
	set(&v.Runtime, g.runtime)
	set(&v.Desc, g.desc)
	set(&v.Timeout, g.timeout)
	set(&v.Memory, g.memory)
	if g.tmp != nil {
		set(&v.Tmp, g.tmp.Size)
	}
	if g.tracing != nil {
		set(&v.Tracing, g.tracing.Mode)
	}
	if g.env != nil {
		v.Env = maps.Clone(g.env.Variables)
		if v.Env == nil {
			v.Env = map[string]string{}
		}
	}
	if g.vpc != nil {
		v.VPC = &VpcConfig{SubnetIds: slices.Clone(g.vpc.SubnetIds), SecurityGroupIds: slices.Clone(g.vpc.SecurityGroupIds),
			Ipv6AllowedForDualStack: new(cloud.Val(g.vpc.Ipv6AllowedForDualStack))}
	}
	if err := applyLogging(v, g.logging); err != nil {
		return err
	}
	return checkSettings(v)
}

func set[T any](to *T, given *T) {
	if given != nil {
		*to = *given
	}
}

func applyLogging(v *versionRow, g *LoggingConfig) error {
	if g == nil {
		return nil
	}
	set(&v.LogFormat, g.LogFormat)
	set(&v.LogGroup, g.LogGroup)
	if v.LogFormat != "JSON" {
		if g.ApplicationLogLevel != nil || g.SystemLogLevel != nil {
			return invalid("LogLevel is not supported when LogFormat is set to \"Text\". Remove LogLevel from your request or change the LogFormat to \"JSON\" and try again.")
		}
		v.AppLevel, v.SysLevel = "", ""
		return nil
	}
	v.AppLevel = cloud.Or(g.ApplicationLogLevel, or(v.AppLevel, "INFO"))
	v.SysLevel = cloud.Or(g.SystemLogLevel, or(v.SysLevel, "INFO"))
	return nil
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func checkSettings(v *versionRow) error {
	switch {
	case v.Timeout > maxTimeout:
		return validation("Value '%d' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to %d", v.Timeout, maxTimeout)
	case v.Memory > maxMemory:
		return validation("Value '%d' at 'memorySize' failed to satisfy constraint: Member must have value less than or equal to %d", v.Memory, maxMemory)
	case v.Tmp > maxTmp:
		return validation("Value '%d' at 'ephemeralStorage.size' failed to satisfy constraint: Member must have value less than or equal to %d", v.Tmp, maxTmp)
	case v.Runtime == "" || v.Handler == "":
		return invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages.")
	}
	return checkEnv(v.Env)
}

func checkEnv(env map[string]string) error {
	var reserved []string
	for name := range env {
		if invoke.Reserved(name) {
			reserved = append(reserved, name)
		}
	}
	if len(reserved) > 0 {
		slices.Sort(reserved)
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: %s",
			strings.Join(reserved, ", "))
	}
	var measured strings.Builder
	e := json.NewEncoder(&measured)
	e.SetEscapeHTML(false)
	if env != nil {
		_ = e.Encode(env) // strings always encode
	}
	if text := strings.TrimSuffix(measured.String(), "\n"); len(text) > maxEnv {
		return invalid("Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. String measured: %s", text)
	}
	return nil
}

// retired are the runtimes that AWS does not create functions for any more.
var retired = map[string]bool{"nodejs": true, "nodejs4.3": true, "nodejs4.3-edge": true, "nodejs6.10": true, "nodejs8.10": true,
	"nodejs10.x": true, "nodejs12.x": true, "nodejs14.x": true, "python2.7": true, "python3.6": true, "python3.7": true,
	"dotnetcore1.0": true, "dotnetcore2.0": true, "dotnetcore2.1": true, "dotnetcore3.1": true, "go1.x": true, "java8": true,
	"provided": true, "ruby2.5": true, "ruby2.7": true}

// checkRuntime refuses what cannot run here. Retired runtimes that can are welcome: what was deployed to AWS years ago
// still deploys here.
func (s *Service) checkRuntime(v *versionRow) error {
	switch {
	case s.Invoker.Supports(v.Runtime):
	case retired[v.Runtime]:
		return invalid("The runtime parameter of %s is no longer supported for creating or updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions.", v.Runtime)
	default:
		return invalid("The runtime %s cannot be run by this cloud: nothing on its host answers for it. Run 'lambent doctor' to see what it has.", v.Runtime)
	}
	host := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	if strings.HasPrefix(v.Runtime, "provided") && host != "" && v.Arch != host {
		return invalid("Architecture %s cannot be run by this cloud: its host is %s.", v.Arch, host)
	}
	return nil
}

// checkRole asks whether Lambda may act in that role.
func (s *Service) checkRole(ctx context.Context, c cloud.Caller, role string) error {
	a, ok := cloud.ParseARN(role)
	if !ok || a.Account != c.Account {
		return cloud.Faultf("AccessDeniedException", "Cross-account pass role is not allowed.").WithStatus(403)
	}
	if s.Roles == nil {
		return nil
	}
	ok, err := s.Roles.Assumable(ctx, c.Account, role, "lambda.amazonaws.com")
	if err == nil && !ok {
		err = invalid("The role defined for the function cannot be assumed by Lambda.")
	}
	return err
}

const modified = "2006-01-02T15:04:05.000+0000"

func stamp(t time.Time) *string { return new(t.UTC().Format(modified)) }

// configuration is a version as the API shows it. arn is the function as it was asked for. AWS has no word for a
// function that runs on another version than it names; the error of its runtime version is the nearest.
func (s *Service) configuration(f functionID, v *versionRow, arn string) *FunctionConfiguration {
	out := s.listed(f, v, arn)
	out.State, out.LastUpdateStatus = new("Active"), new("Successful")
	out.RuntimeVersionConfig = &RuntimeVersionConfig{RuntimeVersionArn: new(invoke.RuntimeVersionARN(f.region, v.Runtime))}
	if note := s.Invoker.RuntimeNote(v.Runtime); note != "" {
		out.RuntimeVersionConfig.Error = &RuntimeVersionError{ErrorCode: new("RuntimeNotInstalled"), Message: new(note)}
	}
	return out
}

// listed is a version as lists show it: without its state.
func (s *Service) listed(f functionID, v *versionRow, arn string) *FunctionConfiguration {
	sealed := s.sealer.open(f, v)
	out := &FunctionConfiguration{
		FunctionName: new(f.name), FunctionArn: new(arn), Version: new(v.version()), RevisionId: new(v.Revision),
		Runtime: new(v.Runtime), Handler: new(v.Handler), Role: new(v.Role), Description: new(v.Desc),
		Timeout: new(v.Timeout), MemorySize: new(v.Memory), EphemeralStorage: &EphemeralStorage{Size: new(v.Tmp)},
		CodeSize: new(v.Code.Size), CodeSha256: new(codeSHA256(v.Code)), LastModified: stamp(v.Modified),
		PackageType: new("Zip"), Architectures: []string{v.Arch},
		TracingConfig: &TracingConfigResponse{Mode: new(v.Tracing)},
		SnapStart:     &SnapStartResponse{ApplyOn: new("None"), OptimizationStatus: new("Off")},
		LoggingConfig: &LoggingConfig{LogFormat: new(v.LogFormat), LogGroup: new(f.logGroup(v))},
		Layers:        shownLayers(v.Layers),
	}
	if v.LogFormat == "JSON" {
		out.LoggingConfig.ApplicationLogLevel, out.LoggingConfig.SystemLogLevel = new(v.AppLevel), new(v.SysLevel)
	}
	switch {
	case sealed != nil:
		out.Environment = &EnvironmentResponse{Error: &EnvironmentError{ErrorCode: new("AccessDeniedException"), Message: new(sealed.Error())}}
	case v.Env != nil:
		out.Environment = &EnvironmentResponse{Variables: v.Env}
	}
	if v.VPC != nil {
		out.VpcConfig = &VpcConfigResponse{SubnetIds: list(v.VPC.SubnetIds), SecurityGroupIds: list(v.VPC.SecurityGroupIds),
			VpcId: new(""), Ipv6AllowedForDualStack: v.VPC.Ipv6AllowedForDualStack}
	}
	return out
}

// list is s, never nil: an empty list is shown.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func (f functionID) logGroup(v *versionRow) string { return or(v.LogGroup, "/aws/lambda/"+f.name) }

// creating makes a reply show a function that is being made, as AWS's does.
func creating(out *FunctionConfiguration) *FunctionConfiguration {
	out.State, out.StateReason, out.StateReasonCode = new("Pending"), new("The function is being created."), new("Creating")
	out.LastUpdateStatus = nil
	out.RevisionId = new(invoke.NewRequestID())
	return out
}

// updating makes a reply show an update under way, in AWS's words.
func updating(out *FunctionConfiguration) *FunctionConfiguration {
	out.LastUpdateStatus = new("InProgress")
	out.LastUpdateStatusReason, out.LastUpdateStatusReasonCode = new("The function is being created."), new("Creating")
	out.RevisionId = new(invoke.NewRequestID())
	return out
}
