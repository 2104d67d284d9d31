package invoke

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"sync"
	"time"

	"lambent/sandbox/driver"
)

// Credential is what a function signs its own calls with.
type Credential struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time
}

// Credentials gives out temporary credentials of a role: the session is named after the function.
type Credentials interface {
	FunctionCredentials(ctx context.Context, account, roleARN, session string) (Credential, error)
}

// credentialMargin is how long credentials must last at least when a call begins: the longest call and a little more.
const credentialMargin = 20 * time.Minute

// maxCredentials bounds the credentials remembered.
const maxCredentials = 4096

// credentialCache remembers the credentials of functions, so that the sandboxes of one need them made only once in a while.
type credentialCache struct {
	from Credentials

	mu    sync.Mutex
	known map[string]Credential
}

func (c *credentialCache) of(ctx context.Context, fn *Function, now time.Time) (Credential, error) {
	key := fn.Account + "/" + fn.RoleARN + "/" + fn.Name
	c.mu.Lock()
	cred, ok := c.known[key]
	c.mu.Unlock()
	if ok && (cred.Expires.IsZero() || cred.Expires.Sub(now) > 2*credentialMargin) {
		return cred, nil
	}
	cred, err := c.from.FunctionCredentials(ctx, fn.Account, fn.RoleARN, fn.Name)
	if err != nil {
		return Credential{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxCredentials {
		clear(c.known)
	}
	c.known[key] = cred
	return cred, nil
}

// initType says for whom a sandbox is started, in AWS's words.
type initType string

const (
	onDemand    initType = "on-demand"
	provisioned initType = "provisioned-concurrency"
)

// environment is what the function's process sees: AWS's own variables, with the user's over them. Names that AWS
// reserves never reach Function.Env; the others (PATH, LANG, …) a user may change.
func (v *Invoker) environment(fn *Function, kind initType, stream string, cred Credential) map[string]string {
	env := map[string]string{
		"AWS_ACCESS_KEY_ID":               cred.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY":           cred.SecretAccessKey,
		"AWS_SESSION_TOKEN":               cred.SessionToken,
		"AWS_REGION":                      fn.Region,
		"AWS_DEFAULT_REGION":              fn.Region,
		"AWS_LAMBDA_FUNCTION_NAME":        fn.Name,
		"AWS_LAMBDA_FUNCTION_VERSION":     fn.Version,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": strconv.Itoa(fn.Memory),
		"AWS_LAMBDA_INITIALIZATION_TYPE":  string(kind),
		"AWS_LAMBDA_LOG_GROUP_NAME":       fn.LogGroup,
		"AWS_LAMBDA_LOG_STREAM_NAME":      stream,
		"AWS_LAMBDA_RUNTIME_API":          driver.DefaultRuntimeAPIAddr,
		"AWS_XRAY_CONTEXT_MISSING":        "LOG_ERROR",
		"AWS_XRAY_DAEMON_ADDRESS":         "127.0.0.1:2000",
		"LAMBDA_TASK_ROOT":                "/var/task",
		"LAMBDA_RUNTIME_DIR":              "/var/runtime",
		"LANG":                            "en_US.UTF-8",
		"TZ":                              ":UTC",
		"PATH":                            "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
		"LD_LIBRARY_PATH":                 "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
		"_HANDLER":                        fn.Handler,
	}
	if !strings.HasPrefix(fn.Runtime, "provided") {
		env["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + fn.Runtime
	}
	if fn.JSONLogs {
		env["AWS_LAMBDA_LOG_FORMAT"] = "JSON"
		env["AWS_LAMBDA_LOG_LEVEL"] = fn.AppLogLevel
	}
	maps.Copy(env, v.config.Env)
	maps.Copy(env, fn.Env)
	return env
}

// Reserved tells whether a user may not set an environment variable of that name.
func Reserved(name string) bool {
	switch name {
	case "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
		"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
		"AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
		"AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR":
		return true
	}
	return false
}
