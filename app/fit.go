package app

import (
	"context"
	"errors"
	"io"
	"time"

	"lambent/cli"
	"lambent/cloud"
	"lambent/gateway"
	"lambent/invoke"
	"lambent/service"
	"lambent/service/apigateway"
	"lambent/service/iam"
	"lambent/service/lambda"
	"lambent/service/logs"
	"lambent/service/s3"
	"lambent/service/sts"
	"lambent/source/schedule"
)

// The types below fit one room to the small interface that another declares.
var (
	_ schedule.Invoker   = (*eventInvoker)(nil)
	_ service.Caller     = (*lateCaller)(nil)
	_ gateway.Keys       = (*keys)(nil)
	_ gateway.Authorizer = (*iam.Service)(nil)
	_ sts.Roles          = (*iam.Service)(nil)
	_ invoke.Credentials = (*functionCredentials)(nil)
	_ invoke.LogSink     = (*functionLogs)(nil)
	_ lambda.Objects     = (*codeObjects)(nil)
	_ lambda.Roles       = (*roles)(nil)
	_ apigateway.Invoker = (*apiInvoker)(nil)
)

// keys finds access keys: the root key, and the sessions that STS gave out.
type keys struct {
	root     cli.RootKey
	sessions *sts.Service
}

// Secret implements gateway.Keys.
func (k *keys) Secret(_ context.Context, accessKeyID, sessionToken string) (gateway.Key, error) {
	if accessKeyID == k.root.AccessKeyID && sessionToken != "" {
		return gateway.Key{}, gateway.ErrToken // as AWS does with a token that is not the key's
	}
	if accessKeyID == k.root.AccessKeyID {
		return gateway.Key{Secret: k.root.SecretAccessKey, Caller: cloud.Caller{
			Account: cloud.DefaultAccount, ARN: "arn:aws:iam::" + cloud.DefaultAccount + ":root", UserID: cloud.DefaultAccount, Root: true,
		}}, nil
	}
	if sessionToken == "" {
		return gateway.Key{}, nil
	}
	secret, who, err := k.sessions.Open(accessKeyID, sessionToken, time.Now())
	switch {
	case errors.Is(err, sts.ErrExpired):
		err = gateway.ErrExpired
	case errors.Is(err, sts.ErrToken):
		err = gateway.ErrToken
	}
	return gateway.Key{Secret: secret, Caller: who}, err
}

// functionCredentials lets functions sign with sessions of their roles.
type functionCredentials struct{ sts *sts.Service }

// sessionLasts is how long a function's credentials are good; they are renewed well before.
const sessionLasts = time.Hour

// FunctionCredentials implements invoke.Credentials.
func (f *functionCredentials) FunctionCredentials(ctx context.Context, _, roleARN, session string) (invoke.Credential, error) {
	c, err := f.sts.ForService(ctx, "lambda.amazonaws.com", roleARN, session, time.Now(), sessionLasts)
	return invoke.Credential{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expires: c.Expires}, err
}

// functionLogs puts what functions log into CloudWatch Logs.
type functionLogs struct{ logs *logs.Service }

// PutLogs implements invoke.LogSink.
func (f *functionLogs) PutLogs(ctx context.Context, batches []invoke.LogBatch) error {
	all := make([]logs.Batch, len(batches))
	for i, b := range batches {
		all[i] = logs.Batch{Account: b.Account, Region: b.Region, Group: b.Group, Stream: b.Stream}
		for _, e := range b.Events {
			all[i].Events = append(all[i].Events, logs.Event{Time: e.Time, Message: e.Message})
		}
	}
	return f.logs.Append(ctx, time.Now().UTC(), all...)
}

// codeObjects reads code packages out of S3.
type codeObjects struct{ s3 *s3.Service }

// GetObject implements lambda.Objects.
func (o *codeObjects) GetObject(ctx context.Context, c cloud.Caller, bucket, key, version string) (io.ReadCloser, error) {
	body, _, err := o.s3.Object(ctx, c, bucket, key, version)
	return body, err
}

// roles says which roles a service may assume.
type roles struct{ sts *sts.Service }

// Assumable implements lambda.Roles.
func (r *roles) Assumable(ctx context.Context, _, roleARN, principal string) (bool, error) {
	_, err := r.sts.ForService(ctx, principal, roleARN, "probe", time.Now(), time.Minute)
	if errors.Is(err, sts.ErrNotTrusted) {
		return false, nil
	}
	return err == nil, err
}

// apiInvoker lets APIs call functions: the function's policy must allow it.
type apiInvoker struct{ lambda *lambda.Service }

// Invoke implements apigateway.Invoker.
func (i *apiInvoker) Invoke(ctx context.Context, c cloud.Caller, functionARN, sourceARN string, payload []byte) ([]byte, string, error) {
	c.Via, c.ARN = "apigateway.amazonaws.com", sourceARN
	return i.lambda.InvokeARN(ctx, c, functionARN, payload)
}

// eventInvoker lets rules put events into functions' queues: the function's policy must allow it.
type eventInvoker struct{ lambda *lambda.Service }

// InvokeAsync implements schedule.Invoker.
func (i *eventInvoker) InvokeAsync(ctx context.Context, account, region, functionARN, sourceARN string, payload []byte) error {
	c := cloud.Caller{Account: account, Region: region, Via: "events.amazonaws.com", ARN: sourceARN, Now: time.Now().UTC()}
	return i.lambda.InvokeAsyncARN(ctx, c, functionARN, payload)
}

// lateCaller is a service.Caller that is known only after those who use it have been made.
type lateCaller struct{ caller service.Caller }

// Call implements service.Caller.
func (l *lateCaller) Call(ctx context.Context, c cloud.Caller, service, operation string, in map[string]any) (map[string]any, error) {
	return l.caller.Call(ctx, c, service, operation, in)
}
