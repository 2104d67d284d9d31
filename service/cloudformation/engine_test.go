package cloudformation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

const first = `
Outputs:
  Url: {Value: !Sub "https://${Api}.example/${Fn.Arn}"}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument: {Statement: [{Effect: Allow, Principal: {Service: !Sub "lambda.${AWS::URLSuffix}"}, Action: sts:AssumeRole}]}
      Policies: [{PolicyName: p, PolicyDocument: {Statement: []}}]
  Group: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /aws/lambda/hello, RetentionInDays: 7}}
  Bucket: {Type: AWS::S3::Bucket, Properties: {VersioningConfiguration: {Status: Enabled}}}
  Fn:
    Type: AWS::Lambda::Function
    DependsOn: Group
    Properties: {Role: !GetAtt Role.Arn, Code: {S3Bucket: !Ref Bucket, S3Key: one}, Handler: a.b, Runtime: nodejs20.x, MemorySize: 128}
  Version1: {Type: AWS::Lambda::Version, Properties: {FunctionName: !Ref Fn}}
  Permission: {Type: AWS::Lambda::Permission, Properties: {FunctionName: !GetAtt Fn.Arn, Action: "lambda:InvokeFunction", Principal: apigateway.amazonaws.com}}
  Api: {Type: AWS::ApiGateway::RestApi, Properties: {Name: hello}}
  Path: {Type: AWS::ApiGateway::Resource, Properties: {RestApiId: !Ref Api, ParentId: !GetAtt Api.RootResourceId, PathPart: hi}}
  Get:
    Type: AWS::ApiGateway::Method
    Properties: {RestApiId: !Ref Api, ResourceId: !Ref Path, HttpMethod: GET, Integration: {Type: AWS_PROXY, Uri: !GetAtt Fn.Arn}}
  Deployment1: {Type: AWS::ApiGateway::Deployment, DependsOn: Get, Properties: {RestApiId: !Ref Api, StageName: dev}}
`

// second changes first in every way: in place, by replacement, with additions and removals.
var second = strings.NewReplacer(
	"S3Key: one", "S3Key: two", "MemorySize: 128", "MemorySize: 256, Timeout: 9", "RetentionInDays: 7", "RetentionInDays: 14",
	"Version1:", "Version2:", "Deployment1:", "Deployment2:", "PathPart: hi", "PathPart: hello", "{Name: hello}", "{Name: hello2}",
	"Outputs:\n", "Outputs:\n  Extra: {Value: !Ref Other}\n",
	"Resources:\n", "Resources:\n  Other: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /other}}\n",
	"  Bucket: {Type: AWS::S3::Bucket, Properties: {VersioningConfiguration: {Status: Enabled}}}",
	"  Bucket: {Type: AWS::S3::Bucket, Properties: {VersioningConfiguration: {Status: Suspended}}}").Replace(first)

const whole = "api=1 bucket=1 deployment=1 function=1 group=1 method=1 permission=1 resource=2 role=1 stage=1 version=1"

func TestCreateUpdateDelete(t *testing.T) {
	b := newBench(t)
	b.create("shop", first)
	st := b.want("shop", "CREATE_COMPLETE")
	if got := b.cloud.kinds(); got != whole {
		t.Errorf("made %s, want %s", got, whole)
	}
	if len(st.Outputs) != 1 || !strings.Contains(*st.Outputs[0].OutputValue, "arn:aws:lambda:eu-west-1:000000000000:function:shop-Fn-") {
		t.Errorf("outputs %+v", st.Outputs)
	}
	if !strings.Contains(b.cloud.state(), `\"Service\":\"lambda.amazonaws.com\"`) {
		t.Error("the principal lambda.${AWS::URLSuffix} was not understood")
	}
	calls := len(b.cloud.calls)
	b.update("shop", second)
	b.want("shop", "UPDATE_COMPLETE")
	if got, want := b.cloud.kinds(), strings.Replace(whole, "group=1", "group=2", 1); got != want {
		t.Errorf("after the update %s, want %s", got, want)
	}
	for _, call := range b.cloud.calls[calls:] {
		if call == "iam:PutRolePolicy" || call == "lambda:RemovePermission" {
			t.Errorf("%s although nothing of it changed", call)
		}
	}
	b.delete("shop")
	b.want(*st.StackId, "DELETE_COMPLETE")
	if got := b.cloud.state(); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
	_, err := b.s.describeStacks(t.Context(), b.c, &DescribeStacksInput{StackName: new("shop")})
	if got := message(err); got != "Stack with id shop does not exist" {
		t.Errorf("describe of a deleted stack by name: %q", got)
	}
}

func message(err error) string {
	var f *cloud.Fault
	if errors.As(err, &f) {
		return f.Message
	}
	if err != nil {
		return "internal: " + err.Error()
	}
	return ""
}

func TestEventSequence(t *testing.T) {
	b := newBench(t)
	b.create("seq", `{"Resources": {"G": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "x"}},
		"A": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": {"Ref": "G"}}}}}`)
	st := b.want("seq", "CREATE_COMPLETE")
	b.update("seq", `{"Resources": {"G": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "y"}}}}`)
	b.want("seq", "UPDATE_COMPLETE")
	b.delete("seq")
	b.want(*st.StackId, "DELETE_COMPLETE")
	const want = `seq CREATE_IN_PROGRESS | User Initiated
G CREATE_IN_PROGRESS
G CREATE_IN_PROGRESS | Resource creation Initiated
G CREATE_COMPLETE
A CREATE_IN_PROGRESS
A CREATE_IN_PROGRESS | Resource creation Initiated
A CREATE_COMPLETE
seq CREATE_COMPLETE
seq UPDATE_IN_PROGRESS | User Initiated
G UPDATE_IN_PROGRESS | Requested update requires the creation of a new physical resource; hence creating one.
G UPDATE_COMPLETE
seq UPDATE_COMPLETE_CLEANUP_IN_PROGRESS
A DELETE_IN_PROGRESS
A DELETE_COMPLETE
G DELETE_IN_PROGRESS
G DELETE_COMPLETE
seq UPDATE_COMPLETE
seq DELETE_IN_PROGRESS | User Initiated
G DELETE_IN_PROGRESS
G DELETE_COMPLETE
seq DELETE_COMPLETE
`
	if got := b.events(*st.StackId); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestFailingCall fails each call of a creation and of an update once: what is left is nothing, or exactly
// what was before.
func TestFailingCall(t *testing.T) {
	refuse := func(at int) func(int, string) error {
		return func(n int, call string) error {
			if n == at {
				return &cloud.Fault{Code: "InvalidParameterValueException", Message: call + " refused", Status: 400}
			}
			return nil
		}
	}
	for at := 1; at < 60; at++ {
		b := newBench(t)
		b.cloud.hook = refuse(at)
		b.create("shop", first)
		st := b.settle("shop")
		if *st.StackStatus == "CREATE_COMPLETE" {
			if at < 15 {
				t.Errorf("creation makes only %d calls", at-1)
			}
			break
		}
		if *st.StackStatus != "ROLLBACK_COMPLETE" || b.cloud.state() != "" {
			t.Errorf("call %d failed: %s, left behind:\n%s\n%s", at, *st.StackStatus, b.cloud.state(), b.events("shop"))
		}
	}
	for at := 1; at < 60; at++ {
		b := newBench(t)
		b.create("shop", first)
		b.want("shop", "CREATE_COMPLETE")
		before, done := b.cloud.state(), len(b.cloud.calls)
		b.cloud.hook = refuse(done + at)
		b.update("shop", second)
		st := b.settle("shop")
		if len(b.cloud.calls) < done+at {
			break
		}
		switch *st.StackStatus {
		case "UPDATE_COMPLETE": // the call belonged to the cleanup
		case "UPDATE_ROLLBACK_COMPLETE":
			if got := b.cloud.state(); got != before {
				t.Errorf("call %d (%s) failed: got\n%s\nwant\n%s\n%s", at, b.cloud.calls[done+at-1], got, before, b.events("shop"))
			}
			if len(st.Outputs) != 1 {
				t.Errorf("outputs after the rollback: %+v", st.Outputs)
			}
		default:
			t.Errorf("call %d failed: %s\n%s", at, *st.StackStatus, b.events("shop"))
		}
	}
}

// mortal is the way of one engine's life to the cloud: dead, it reaches nothing more.
type mortal struct {
	*fakeCloud
	dead atomic.Bool
}

func (m *mortal) Call(ctx context.Context, c cloud.Caller, service, operation string, in map[string]any) (map[string]any, error) {
	if m.dead.Load() {
		return nil, errors.New("this engine is dead")
	}
	out, err := m.fakeCloud.Call(ctx, c, service, operation, in)
	if m.dead.Load() {
		return nil, errors.New("this engine died")
	}
	return out, err
}

// crashAt runs an operation whose engine dies at its nth changing call, before or after the call took
// effect, and lets a new engine finish. It reports whether there was an nth call.
func (b *bench) crashAt(n int, afterEffect bool, start func()) bool {
	life := &mortal{fakeCloud: b.cloud}
	b.s.call = life
	done := len(b.cloud.calls)
	died := false
	die := func() {
		died = true
		b.leases("other", time.Now().Add(time.Hour)) // its writes fail from here on, as a killed process writes nothing
		life.dead.Store(true)
	}
	b.cloud.hook, b.cloud.after = nil, nil
	if afterEffect {
		b.cloud.after = func(i int, _ string) {
			if i == done+n {
				die()
			}
		}
	} else {
		b.cloud.hook = func(i int, _ string) error {
			if i == done+n {
				die()
				return errors.New("killed")
			}
			return nil
		}
	}
	var id string // a deletion may be over, and the name gone, before anybody looks
	if there, err := b.s.describeStacks(context.Background(), b.c, &DescribeStacksInput{StackName: new("shop")}); err == nil {
		id = *there.Stacks[0].StackId
	}
	stop := b.run()
	start()
	if id == "" {
		id = *b.stack("shop").StackId
	}
	for !life.dead.Load() && strings.HasSuffix(*b.stack(id).StackStatus, "IN_PROGRESS") {
	}
	stop()
	b.leases("local", time.Time{})
	b.s.call = b.cloud
	b.cloud.mu.Lock()
	b.cloud.hook, b.cloud.after = nil, nil
	b.cloud.mu.Unlock()
	b.run()
	b.settle(id)
	return died
}

// leases gives the leases of all running operations to a node, with a new fencing number.
func (b *bench) leases(node string, until time.Time) {
	err := b.store.Update(context.Background(), func(tx *kv.Tx) error {
		rows, err := tx.Scan(context.Background(), kv.Prefix("running"))
		for _, row := range rows {
			var lease runningRow
			if err := decodeRow(row.Value, &lease); err != nil {
				return err
			}
			if err := putRow(tx, row.Key, runningRow{Node: node, Fence: lease.Fence + 1, Until: until}); err != nil {
				return err
			}
		}
		return err
	})
	if err != nil {
		b.t.Error(err)
	}
}

func TestCrashAtEveryCall(t *testing.T) {
	for _, afterEffect := range []bool{false, true} {
		t.Run(fmt.Sprint("create ", afterEffect), func(t *testing.T) {
			for n := 1; n < 60; n++ {
				b := idleBench(t)
				died := b.crashAt(n, afterEffect, func() { b.create("shop", first) })
				b.want("shop", "CREATE_COMPLETE")
				if got := b.cloud.kinds(); got != whole {
					t.Errorf("crash at call %d: made %s, want %s\n%s", n, got, whole, b.events("shop"))
				}
				if !died {
					break
				}
			}
		})
		t.Run(fmt.Sprint("update ", afterEffect), func(t *testing.T) {
			for n := 1; n < 60; n++ {
				b := idleBench(t)
				stop := b.run()
				b.create("shop", first)
				b.want("shop", "CREATE_COMPLETE")
				stop()
				died := b.crashAt(n, afterEffect, func() { b.update("shop", second) })
				b.want("shop", "UPDATE_COMPLETE")
				if got, want := b.cloud.kinds(), strings.Replace(whole, "group=1", "group=2", 1); got != want {
					t.Errorf("crash at call %d: made %s, want %s\n%s\n%s", n, got, want, b.cloud.state(), b.events("shop"))
				}
				if !died {
					break
				}
			}
		})
		t.Run(fmt.Sprint("rollback ", afterEffect), func(t *testing.T) {
			// The last resource of the update cannot be made, so all the rest goes back.
			bad := second + "  Bad: {Type: AWS::S3::BucketPolicy, DependsOn: Deployment2, Properties: {Bucket: !Ref Bucket, PolicyDocument: {}}}\n"
			for n := 1; n < 60; n++ {
				b := idleBench(t)
				stop := b.run()
				b.create("shop", first)
				b.want("shop", "CREATE_COMPLETE")
				stop()
				before := b.cloud.state()
				died := b.crashAt(n, afterEffect, func() { b.update("shop", bad) })
				b.want("shop", "UPDATE_ROLLBACK_COMPLETE")
				if got := b.cloud.state(); got != before {
					t.Errorf("crash at call %d: got\n%s\nwant\n%s\n%s", n, got, before, b.events("shop"))
				}
				if !died {
					break
				}
			}
		})
		t.Run(fmt.Sprint("without rollback ", afterEffect), func(t *testing.T) {
			bad := modest + "  Bad: {Type: AWS::S3::BucketPolicy, DependsOn: Deployment1, Properties: {Bucket: !Ref Bucket, PolicyDocument: {}}}\n"
			for n := 1; n < 60; n++ {
				b := idleBench(t)
				stop := b.run()
				b.create("shop", first)
				b.want("shop", "CREATE_COMPLETE")
				stop()
				before := b.cloud.state()
				died := b.crashAt(n, afterEffect, func() { b.update("shop", bad, noRollback) })
				b.want("shop", "UPDATE_FAILED")
				b.rollback("shop")
				b.want("shop", "UPDATE_ROLLBACK_COMPLETE")
				if got := b.cloud.state(); got != before {
					t.Errorf("crash at call %d: got\n%s\nwant\n%s\n%s", n, got, before, b.events("shop"))
				}
				if !died {
					break
				}
			}
		})
		t.Run(fmt.Sprint("delete ", afterEffect), func(t *testing.T) {
			for n := 1; n < 60; n++ {
				b := idleBench(t)
				stop := b.run()
				b.create("shop", first)
				b.want("shop", "CREATE_COMPLETE")
				stop()
				id := *b.stack("shop").StackId
				died := b.crashAt(n, afterEffect, func() { b.delete(id) })
				b.want(id, "DELETE_COMPLETE")
				if got := b.cloud.state(); got != "" {
					t.Errorf("crash at call %d: left behind\n%s\n%s", n, got, b.events(id))
				}
				if !died {
					break
				}
			}
		})
	}
}

// Twins cannot be told apart by looking: each must still get one of what was made, and no other is left.
func TestCrashAmongTwins(t *testing.T) {
	var text strings.Builder
	text.WriteString("Resources:\n")
	for i := range 8 {
		fmt.Fprintf(&text, "  Api%d: {Type: AWS::ApiGateway::RestApi, Properties: {Name: twin}}\n", i)
	}
	for n := 1; n <= 8; n++ {
		b := idleBench(t)
		b.crashAt(n, true, func() { b.create("shop", text.String()) })
		st := b.want("shop", "CREATE_COMPLETE")
		if got := b.cloud.kinds(); got != "api=8 resource=8" {
			t.Errorf("crash at call %d: made %s\n%s", n, got, b.events("shop"))
		}
		b.delete("shop")
		b.want(*st.StackId, "DELETE_COMPLETE")
		if got := b.cloud.state(); got != "" {
			t.Errorf("crash at call %d: left behind\n%s", n, got)
		}
	}
}

// TestRefusedFirstCall has the first call of a change refused: the rollback leaves the resource alone,
// whose service may refuse the way back as well.
func TestRefusedFirstCall(t *testing.T) {
	b := newBench(t)
	b.create("alone", first)
	b.want("alone", "CREATE_COMPLETE")
	before := b.cloud.state()
	b.cloud.mu.Lock()
	b.cloud.hook = func(_ int, call string) error {
		if call == "logs:PutRetentionPolicy" {
			return cloud.NotImplemented("Retention")
		}
		return nil
	}
	b.cloud.mu.Unlock()
	b.update("alone", strings.Replace(first, "RetentionInDays: 7", "RetentionInDays: 14", 1))
	st := b.want("alone", "UPDATE_ROLLBACK_COMPLETE")
	if got := b.cloud.state(); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
	if got := b.events(*st.StackId); !strings.Contains(got, "Group UPDATE_FAILED") || !strings.Contains(got, "Group UPDATE_COMPLETE") {
		t.Error(got)
	}
}

// One function that has not changed has one version, however many resources ask for it: the second fails,
// and takes nothing away that the first made.
func TestVersionTwice(t *testing.T) {
	b := newBench(t)
	template := strings.ReplaceAll(first, "  Version1:", "  Twice: {Type: AWS::Lambda::Version, Properties: {FunctionName: !Ref Fn}}\n  Version1:")
	b.create("twice", template)
	st := b.want("twice", "ROLLBACK_COMPLETE")
	got := b.events(*st.StackId)
	if !strings.Contains(got, "already exists in stack") && !strings.Contains(got, "A version for this Lambda function exists ( ") {
		t.Error(got)
	}
	if got := b.cloud.state(); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
}

// A replaced resource may have the id of the one that it replaces: the old one is deleted all the same, or
// comes back when the update fails.
func TestReplacementWithTheSameID(t *testing.T) {
	const template = `
Resources:
  One: {Type: AWS::ApiGateway::RestApi, Properties: {Name: one}}
  Two: {Type: AWS::ApiGateway::RestApi, Properties: {Name: two}}
  DeployedOne: {Type: AWS::ApiGateway::Deployment, Properties: {RestApiId: !Ref One}}
  DeployedTwo: {Type: AWS::ApiGateway::Deployment, Properties: {RestApiId: !Ref Two}}
  Stage: {Type: AWS::ApiGateway::Stage, Properties: {RestApiId: !Ref One, StageName: prod, DeploymentId: !Ref DeployedOne}}
`
	b := newBench(t)
	b.create("same", template)
	b.want("same", "CREATE_COMPLETE")
	before := b.cloud.state()
	moved := strings.NewReplacer("RestApiId: !Ref One, StageName", "RestApiId: !Ref Two, StageName", "DeploymentId: !Ref DeployedOne", "DeploymentId: !Ref DeployedTwo").Replace(template)
	b.update("same", moved+"  Bad: {Type: AWS::S3::BucketPolicy, DependsOn: Stage, Properties: {Bucket: none, PolicyDocument: {}}}\n")
	b.want("same", "UPDATE_ROLLBACK_COMPLETE")
	if got := b.cloud.state(); got != before {
		t.Errorf("after the rollback\n%s\nwant\n%s", got, before)
	}
	b.update("same", moved)
	b.want("same", "UPDATE_COMPLETE")
	if got := b.cloud.kinds(); got != "api=2 deployment=2 resource=2 stage=1" {
		t.Errorf("after the update: %s\n%s", got, b.cloud.state())
	}
}

// A change of several parts is taken back although its service refuses one of them both ways: it never had it.
func TestRefusedBothWays(t *testing.T) {
	b := newBench(t)
	b.create("both", first)
	b.want("both", "CREATE_COMPLETE")
	before := b.cloud.state()
	b.update("both", strings.Replace(first, "VersioningConfiguration: {Status: Enabled}", "VersioningConfiguration: {Status: Suspended}, AccelerateConfiguration: {AccelerationStatus: Enabled}", 1))
	b.want("both", "UPDATE_ROLLBACK_COMPLETE")
	if got := b.cloud.state(); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
}

// Two resources of one name can not both be, whatever a crash leaves unknown of who made what.
func TestCrashAmongNamesakes(t *testing.T) {
	const template = "Resources:\n  A: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /a}}\n  B: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /a}}\n"
	for n := 1; n <= 2; n++ {
		for _, afterEffect := range []bool{false, true} {
			b := idleBench(t)
			b.crashAt(n, afterEffect, func() { b.create("shop", template) })
			st := b.want("shop", "ROLLBACK_COMPLETE")
			if got := b.cloud.state(); got != "" {
				t.Errorf("crash at call %d, %v: left behind\n%s\n%s", n, afterEffect, got, b.events(*st.StackId))
			}
		}
	}
}
