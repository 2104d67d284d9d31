package cloudformation

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"lambent/cloud"
	"lambent/kv"
)

// refuse makes the fake cloud refuse the calls named, until it is told other names.
func (b *bench) refuse(calls ...string) {
	b.cloud.mu.Lock()
	defer b.cloud.mu.Unlock()
	b.cloud.hook = func(_ int, call string) error {
		for _, c := range calls {
			if c == call {
				return &cloud.Fault{Code: "InvalidParameterValueException", Message: call + " refused", Status: 400}
			}
		}
		return nil
	}
}

func noRollback(in *UpdateStackInput)         { in.DisableRollback = new(true) }
func noCreationRollback(in *CreateStackInput) { in.DisableRollback = new(true) }

// updateError is what UpdateStack says when it refuses.
func (b *bench) updateError(name, template string, change ...func(*UpdateStackInput)) string {
	b.t.Helper()
	in := &UpdateStackInput{StackName: &name, TemplateBody: &template, Capabilities: []string{"CAPABILITY_NAMED_IAM"}}
	for _, f := range change {
		f(in)
	}
	_, err := b.s.updateStack(context.Background(), b.c, in)
	return message(err)
}

func (b *bench) rollback(name string) {
	b.t.Helper()
	if _, err := b.s.rollbackStack(context.Background(), b.c, &RollbackStackInput{StackName: &name}); err != nil {
		b.t.Fatal(err)
	}
}

// A creation that failed without rollback is gone on from by an update: what was made stays, what failed is
// made anew.
func TestUpdateFromCreateFailed(t *testing.T) {
	b := newBench(t)
	b.refuse("lambda:CreateFunction")
	b.create("pause", first, noCreationRollback)
	st := b.want("pause", "CREATE_FAILED")
	const refusal = "This stack is currently in a non-terminal [CREATE_FAILED] state. To update the stack from this state, please use the disable-rollback parameter with update-stack API. To rollback to the last known good state, use the rollback-stack API"
	if got := b.updateError("pause", first); got != refusal {
		t.Errorf("update that may roll back: %q", got)
	}
	if got := b.cloud.kinds(); got != "api=1 bucket=1 group=1 resource=2 role=1" {
		t.Errorf("what does not depend on the function: %s", got)
	}
	b.refuse("lambda:PublishVersion")
	b.update("pause", first, noRollback)
	b.want("pause", "UPDATE_FAILED")
	b.refuse()
	calls := len(b.cloud.calls)
	b.update("pause", "", noRollback, func(in *UpdateStackInput) { in.TemplateBody, in.UsePreviousTemplate = nil, new(true) })
	st = b.want("pause", "UPDATE_COMPLETE")
	if got := b.cloud.kinds(); got != whole {
		t.Errorf("made %s, want %s", got, whole)
	}
	for _, call := range b.cloud.calls[calls:] {
		if call == "iam:CreateRole" || call == "lambda:CreateFunction" {
			t.Errorf("%s again", call)
		}
	}
	if len(st.Outputs) != 1 {
		t.Errorf("outputs %+v", st.Outputs)
	}
	if got := b.updateError("pause", first); got != "No updates are to be performed." {
		t.Errorf("the same again: %q", got)
	}
	id := *st.StackId
	b.delete("pause")
	b.want(id, "DELETE_COMPLETE")
	if got := b.cloud.state(); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
}

// A stack that never was whole has nothing to go back to, however often its author went on.
func TestRollbackOfWhatNeverWas(t *testing.T) {
	b := newBench(t)
	b.refuse("lambda:CreateFunction")
	b.create("never", first, noCreationRollback)
	b.want("never", "CREATE_FAILED")
	b.refuse("lambda:AddPermission")
	b.update("never", first, noRollback)
	b.want("never", "UPDATE_FAILED")
	b.rollback("never")
	b.want("never", "ROLLBACK_COMPLETE")
	if got := b.cloud.state(); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
	if got := b.updateError("never", first, noRollback); !strings.HasSuffix(got, "is in ROLLBACK_COMPLETE state and can not be updated.") {
		t.Errorf("update after the rollback: %q", got)
	}
}

// modest changes first in place only, and adds to it.
var modest = strings.NewReplacer("S3Key: one", "S3Key: two", "MemorySize: 128", "MemorySize: 256, Timeout: 9",
	"RetentionInDays: 7", "RetentionInDays: 14", "{Name: hello}", "{Name: hello2}",
	"Resources:\n", "Resources:\n  Other: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /other, RetentionInDays: 3}}\n").Replace(first)

// However many updates failed without rollback, RollbackStack goes back to where the stack last was whole,
// and an update that succeeds makes it whole.
func TestUpdateFromUpdateFailed(t *testing.T) {
	for _, end := range []string{"rollback", "success", "delete"} {
		t.Run(end, func(t *testing.T) {
			b := newBench(t)
			b.create("pause", first)
			id := *b.want("pause", "CREATE_COMPLETE").StackId
			before := b.cloud.state()
			b.refuse("lambda:UpdateFunctionConfiguration") // after its code was changed
			b.update("pause", modest, noRollback)
			st := b.want("pause", "UPDATE_FAILED")
			if got := *st.StackStatusReason; got != "The following resource(s) failed to update: [Fn]." {
				t.Errorf("reason %q", got)
			}
			if fn := b.cloud.state(); !strings.Contains(fn, `"S3Key":"one"`) || strings.Contains(fn, `"S3Key":"two"`) {
				t.Errorf("what failed was not put back:\n%s", fn)
			}
			b.refuse("logs:CreateLogGroup")
			b.update("pause", strings.Replace(modest, "Timeout: 9", "Timeout: 10", 1)+"  More: {Type: AWS::Logs::LogGroup, DependsOn: Fn, Properties: {LogGroupName: /more}}\n", noRollback)
			b.want("pause", "UPDATE_FAILED")
			b.refuse()
			switch end {
			case "rollback":
				b.rollback("pause")
				b.want("pause", "UPDATE_ROLLBACK_COMPLETE")
				if got := b.cloud.state(); got != before {
					t.Errorf("got\n%s\nwant\n%s\n%s", got, before, b.events(id))
				}
			case "success":
				b.update("pause", modest, noRollback)
				b.want("pause", "UPDATE_COMPLETE")
				if got, want := b.cloud.kinds(), strings.Replace(whole, "group=1", "group=2", 1); got != want {
					t.Errorf("got %s, want %s\n%s", got, want, b.events(id))
				}
				if got := b.cloud.state(); !strings.Contains(got, `"S3Key":"two"`) || !strings.Contains(got, `"Timeout":9`) || !strings.Contains(got, "hello2") {
					t.Errorf("got\n%s", got)
				}
			case "delete":
				b.delete("pause")
				b.want(id, "DELETE_COMPLETE")
				if got := b.cloud.state(); got != "" {
					t.Errorf("left behind\n%s", got)
				}
				if n := strings.Count(b.events(id), "Fn DELETE_COMPLETE"); n != 1 {
					t.Errorf("the function was deleted %d times\n%s", n, b.events(id))
				}
			}
		})
	}
}

// What failed and could not be put back is set by the next update whatever that wants it to be.
func TestTornResource(t *testing.T) {
	b := newBench(t)
	b.create("torn", first)
	b.want("torn", "CREATE_COMPLETE")
	before := b.cloud.state()
	failed := false
	b.cloud.mu.Lock()
	b.cloud.hook = func(_ int, call string) error { // the code changes once, and nothing after it
		if call == "lambda:UpdateFunctionConfiguration" || call == "lambda:UpdateFunctionCode" && failed {
			failed = true
			return &cloud.Fault{Code: "TooManyRequestsException", Message: "slow down", Status: 429}
		}
		return nil
	}
	b.cloud.mu.Unlock()
	b.update("torn", modest, noRollback)
	b.want("torn", "UPDATE_FAILED")
	if got := b.cloud.state(); !strings.Contains(got, `"S3Key":"two"`) {
		t.Fatalf("the test has not torn anything:\n%s", got)
	}
	b.refuse()
	b.update("torn", first, noRollback)
	b.want("torn", "UPDATE_COMPLETE")
	if got := b.cloud.state(); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
}

func TestNoReplacementWithoutRollback(t *testing.T) {
	b := newBench(t)
	b.create("rep", groups)
	b.want("rep", "CREATE_COMPLETE")
	b.update("rep", strings.Replace(groups, `"a"`, `"z"`, 1), noRollback)
	st := b.want("rep", "UPDATE_FAILED")
	if got := b.events(*st.StackId); !strings.Contains(got, "A UPDATE_FAILED | Replacement type updates not supported on stack with disable-rollback.\n") {
		t.Error(got)
	}
	b.rollback("rep")
	b.want("rep", "UPDATE_ROLLBACK_COMPLETE")
}

func TestOnFailureDoNothing(t *testing.T) {
	b := newBench(t)
	b.refuse("logs:CreateLogGroup")
	b.create("still", groups, func(in *CreateStackInput) { in.OnFailure = new("DO_NOTHING") })
	b.want("still", "CREATE_FAILED")
	const want = "This stack cannot be updated from [CREATE_FAILED] state because it contains [on-failure: DO_NOTHING]. Please use disable-rollback option instead during stack creation."
	if got := b.updateError("still", groups, noRollback); got != want {
		t.Errorf("got %q", got)
	}
	set := b.changeSetError("still", groups)
	if set != want {
		t.Errorf("change set: %q", set)
	}
}

func (b *bench) changeSetError(name, template string) string {
	_, err := b.s.createChangeSet(context.Background(), b.c, &CreateChangeSetInput{StackName: &name, ChangeSetName: new("set"), TemplateBody: &template})
	return message(err)
}

// A change set goes on from a failure as an update does, if its execution says that nothing is rolled back.
func TestChangeSetFromFailure(t *testing.T) {
	b := newBench(t)
	b.create("set", groups)
	b.want("set", "CREATE_COMPLETE")
	b.refuse("logs:PutRetentionPolicy")
	changed := strings.Replace(groups, "7", "14", 1)
	b.update("set", changed, noRollback)
	b.want("set", "UPDATE_FAILED")
	b.refuse()
	out := b.changeSet("set", changed)
	if *out.Status != "CREATE_COMPLETE" || len(out.Changes) != 1 {
		t.Fatalf("%s %v: %s", *out.Status, out.StatusReason, lines(out))
	}
	_, err := b.s.executeChangeSet(t.Context(), b.c, &ExecuteChangeSetInput{ChangeSetName: out.ChangeSetId})
	if got := message(err); !strings.HasPrefix(got, "This stack is currently in a non-terminal [UPDATE_FAILED] state.") {
		t.Errorf("execution that may roll back: %q", got)
	}
	if _, err := b.s.executeChangeSet(t.Context(), b.c, &ExecuteChangeSetInput{ChangeSetName: out.ChangeSetId, DisableRollback: new(true)}); err != nil {
		t.Fatal(err)
	}
	b.want("set", "UPDATE_COMPLETE")
	if got := b.cloud.state(); !strings.Contains(got, `"days":14`) {
		t.Error(got)
	}
}

// gate holds one call back until it is opened.
type gate struct {
	*fakeCloud
	call    string
	once    sync.Once
	entered chan struct{}
	open    chan struct{}
}

func (b *bench) gate(call string) *gate {
	g := &gate{fakeCloud: b.cloud, call: call, entered: make(chan struct{}), open: make(chan struct{})}
	b.s.call = g
	return g
}

func (g *gate) Call(ctx context.Context, c cloud.Caller, service, operation string, in map[string]any) (map[string]any, error) {
	if service+":"+operation == g.call {
		g.once.Do(func() { close(g.entered) })
		<-g.open
	}
	return g.fakeCloud.Call(ctx, c, service, operation, in)
}

func TestCancelUpdate(t *testing.T) {
	b := idleBench(t)
	stop := b.run()
	b.create("cancel", first)
	id := *b.want("cancel", "CREATE_COMPLETE").StackId
	stop()
	before := b.cloud.state()
	cancel := func() string {
		_, err := b.s.cancelUpdateStack(t.Context(), b.c, &CancelUpdateStackInput{StackName: new("cancel")})
		return message(err)
	}
	if got := cancel(); got != "CancelUpdateStack cannot be called from current stack status" {
		t.Errorf("cancel of nothing: %q", got)
	}
	g := b.gate("lambda:UpdateFunctionCode")
	b.run()
	b.update("cancel", second)
	<-g.entered
	if got := b.updateError("cancel", first); got != "Stack:"+id+" is in UPDATE_IN_PROGRESS state and can not be updated." {
		t.Errorf("update meanwhile: %q", got)
	}
	_, err := b.s.deleteStack(t.Context(), b.c, &DeleteStackInput{StackName: new("cancel")})
	if got := message(err); got != "Stack ["+id+"] cannot be deleted while in status UPDATE_IN_PROGRESS" {
		t.Errorf("delete meanwhile: %q", got)
	}
	if got := cancel(); got != "" {
		t.Fatalf("cancel: %q", got)
	}
	close(g.open)
	b.want("cancel", "UPDATE_ROLLBACK_COMPLETE")
	if got := b.cloud.state(); got != before {
		t.Errorf("got\n%s\nwant\n%s", got, before)
	}
	if got := b.events(id); !strings.Contains(got, "cancel UPDATE_ROLLBACK_IN_PROGRESS | User Initiated\n") {
		t.Error(got)
	}
}

// A deletion may be asked for while the stack is being made, or while a failed creation is taken back, and
// comes in any case: at once, or after the end.
func TestDeleteMeanwhile(t *testing.T) {
	for _, tt := range []struct{ name, held, refused string }{
		{"create", "lambda:CreateFunction", ""},
		{"last call of the creation", "apigateway:CreateDeployment", ""},
		{"rollback", "iam:DeleteRole", "lambda:CreateFunction"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := idleBench(t)
			g := b.gate(tt.held)
			b.run()
			if tt.refused != "" {
				b.refuse(tt.refused)
			}
			b.create("early", first)
			id := *b.stack("early").StackId
			<-g.entered
			b.delete("early")
			close(g.open)
			for !strings.HasPrefix(*b.stack(id).StackStatus, "DELETE_") {
				time.Sleep(time.Millisecond)
			}
			b.want(id, "DELETE_COMPLETE")
			if got := b.cloud.state(); got != "" {
				t.Errorf("left behind\n%s", got)
			}
		})
	}
}

// A deletion that was accepted in the moment in which a creation ends is not lost.
func TestDeleteAtTheEnd(t *testing.T) {
	b := idleBench(t)
	b.create("end", groups)
	id := *b.stack("end").StackId
	ref := stackRef{b.c.Account, b.c.Region, id}
	fence, err := b.s.lease(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	x := &execution{s: b.s, ref: ref, fence: fence, dirty: map[string]bool{}}
	if err := x.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := x.phase(t.Context()); err != nil || x.stack.Status != "CREATE_COMPLETE" || !x.over {
		t.Fatal(x.stack.Status, err)
	}
	b.delete("end") // accepted: what is stored is still being created
	if err := x.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.run()
	b.want(id, "DELETE_COMPLETE")
	if got := b.cloud.state(); got != "" {
		t.Errorf("left behind\n%s", got)
	}
}

func TestTimeout(t *testing.T) {
	b := idleBench(t)
	b.create("late", groups, func(in *CreateStackInput) { in.TimeoutInMinutes = new(int32(1)) })
	id := *b.stack("late").StackId
	err := b.store.Update(t.Context(), func(tx *kv.Tx) error {
		var row stackRow
		key := stackKey(b.c.Account, b.c.Region, id)
		if _, err := getRow(t.Context(), tx, key, &row); err != nil {
			return err
		}
		row.Op.Started = row.Op.Started.Add(-2 * time.Minute)
		return putRow(tx, key, &row)
	})
	if err != nil {
		t.Fatal(err)
	}
	b.run()
	st := b.want("late", "ROLLBACK_COMPLETE")
	if got := b.events(id); !strings.Contains(got, "late ROLLBACK_IN_PROGRESS | Stack creation time exceeded the specified timeout. Rollback requested by user.\n") {
		t.Error(got)
	}
	if b.cloud.state() != "" || *st.TimeoutInMinutes != 1 {
		t.Errorf("timeout %d, left\n%s", *st.TimeoutInMinutes, b.cloud.state())
	}
}

// What a rollback could not put back may be skipped; nothing else may.
func TestSkipInRollback(t *testing.T) {
	b := newBench(t)
	b.create("skip", first)
	b.want("skip", "CREATE_COMPLETE")
	b.refuse("lambda:UpdateFunctionConfiguration")
	b.update("skip", second)
	b.want("skip", "UPDATE_ROLLBACK_FAILED")
	if got := b.updateError("skip", first, noRollback); !strings.HasSuffix(got, "is in UPDATE_ROLLBACK_FAILED state and can not be updated.") {
		t.Errorf("update: %q", got)
	}
	_, err := b.s.rollbackStack(t.Context(), b.c, &RollbackStackInput{StackName: new("skip")})
	if got := message(err); !strings.HasSuffix(got, "is in UPDATE_ROLLBACK_FAILED state and can not be rolled back.") {
		t.Errorf("RollbackStack: %q", got)
	}
	_, err = b.s.continueUpdateRollback(t.Context(), b.c, &ContinueUpdateRollbackInput{StackName: new("skip"), ResourcesToSkip: []string{"Role"}})
	if got := message(err); !strings.Contains(got, "[Role] can not be skipped") {
		t.Errorf("skip of what is well: %q", got)
	}
	if _, err := b.s.continueUpdateRollback(t.Context(), b.c, &ContinueUpdateRollbackInput{StackName: new("skip"), ResourcesToSkip: []string{"Fn"}}); err != nil {
		t.Fatal(err)
	}
	b.want("skip", "UPDATE_ROLLBACK_COMPLETE")
	b.refuse()
	b.update("skip", second)
	b.want("skip", "UPDATE_COMPLETE")
}

// What cannot be deleted holds the stack up until it is deleted, retained or left behind by force.
func TestDeleteFailed(t *testing.T) {
	for _, tt := range []struct {
		name, left string
		again      DeleteStackInput
		refuse     bool
	}{
		{"again", "", DeleteStackInput{}, false},
		{"retain", "role=1", DeleteStackInput{RetainResources: []string{"Role"}}, true},
		{"force", "role=1", DeleteStackInput{DeletionMode: new("FORCE_DELETE_STACK")}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			b.create("hold", first)
			id := *b.want("hold", "CREATE_COMPLETE").StackId
			early := tt.again
			early.StackName = &id
			if len(early.RetainResources) > 0 {
				_, err := b.s.deleteStack(t.Context(), b.c, &early)
				if got := message(err); !strings.Contains(got, "only when the stack is in the DELETE_FAILED state") {
					t.Errorf("RetainResources of a stack that is well: %q", got)
				}
			}
			b.refuse("iam:DeleteRole")
			b.delete("hold")
			st := b.want(id, "DELETE_FAILED")
			if got := *st.StackStatusReason; got != "The following resource(s) failed to delete: [Role]." {
				t.Errorf("reason %q", got)
			}
			if !tt.refuse {
				b.refuse()
			}
			if _, err := b.s.deleteStack(t.Context(), b.c, &early); err != nil {
				t.Fatal(err)
			}
			b.want(id, "DELETE_COMPLETE")
			if got := b.cloud.kinds(); got != tt.left {
				t.Errorf("left %q, want %q", got, tt.left)
			}
		})
	}
}

// A creation that can not be taken back leaves a stack that can only be deleted.
func TestRollbackFailed(t *testing.T) {
	b := newBench(t)
	b.refuse("lambda:CreateFunction", "iam:DeleteRole")
	b.create("stuck", first)
	id := *b.want("stuck", "ROLLBACK_FAILED").StackId
	if got := b.updateError("stuck", first, noRollback); !strings.HasSuffix(got, "is in ROLLBACK_FAILED state and can not be updated.") {
		t.Errorf("update: %q", got)
	}
	_, err := b.s.continueUpdateRollback(t.Context(), b.c, &ContinueUpdateRollbackInput{StackName: &id})
	if got := message(err); !strings.HasSuffix(got, "is in ROLLBACK_FAILED state and can not continue rollback.") {
		t.Errorf("ContinueUpdateRollback: %q", got)
	}
	b.refuse()
	b.delete("stuck")
	b.want(id, "DELETE_COMPLETE")
	if got := b.cloud.state(); got != "" {
		t.Errorf("left behind\n%s", got)
	}
}

// What an update can not delete in its cleanup does not fail it, and goes with the next operation.
func TestCleanupFailed(t *testing.T) {
	b := newBench(t)
	b.create("rest", groups)
	id := *b.want("rest", "CREATE_COMPLETE").StackId
	b.refuse("logs:DeleteLogGroup")
	b.update("rest", strings.Replace(groups, `"a"`, `"z"`, 1))
	st := b.want("rest", "UPDATE_COMPLETE")
	if got := cloud.Val(st.StackStatusReason); got != "Update successful. One or more resources could not be deleted." {
		t.Errorf("reason %q", got)
	}
	if got := b.cloud.kinds(); got != "group=4" {
		t.Errorf("kept %s", got)
	}
	b.refuse()
	b.update("rest", strings.NewReplacer(`"a"`, `"z"`, "7", "14").Replace(groups))
	if st := b.want("rest", "UPDATE_COMPLETE"); st.StackStatusReason != nil {
		t.Errorf("reason %q", *st.StackStatusReason)
	}
	if got := b.cloud.kinds(); got != "group=2" {
		t.Errorf("left %s\n%s", got, b.events(id))
	}
}
