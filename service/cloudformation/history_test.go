package cloudformation

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lambent/cloud"
	"lambent/kv"
)

// A history is a stack that is updated again and again to random templates, with random failures, stops
// and crashes in between. What must hold: a rollback leaves exactly what there was when the stack was last
// whole, a success leaves what a new stack of the template would have, a deletion nothing.
type history struct {
	*bench
	rand   *rand.Rand
	log    []string
	stable string // state when the stack was last whole; "" when that held things to be deleted yet
}

// template makes a random template. Each resource depends on some before it.
func (h *history) template() string {
	var b strings.Builder
	b.WriteString("Resources:\n  Keep: {Type: AWS::Logs::LogGroup}\n")
	pick := func(of ...string) string { return of[h.rand.IntN(len(of))] }
	var there []string
	for i := range 7 {
		if h.rand.IntN(4) == 0 {
			continue
		}
		id, after := fmt.Sprintf("R%d", i), ""
		if len(there) > 0 && h.rand.IntN(2) == 0 {
			after = ", DependsOn: " + pick(there...)
		}
		there = append(there, id)
		switch i {
		case 0, 1, 2:
			fmt.Fprintf(&b, "  %s: {Type: AWS::Logs::LogGroup%s, Properties: {%s%s}}\n", id, after,
				pick("", "LogGroupName: /a, ", "LogGroupName: /b, ", "LogGroupName: /"+id+", "), pick("", "RetentionInDays: 7", "RetentionInDays: 14"))
		case 3:
			fmt.Fprintf(&b, "  %s: {Type: AWS::S3::Bucket%s, Properties: {VersioningConfiguration: {Status: %s}%s}}\n", id, after,
				pick("Enabled", "Suspended"), pick("", ", Tags: [{Key: k, Value: v}]"))
		case 4:
			fmt.Fprintf(&b, "  %s: {Type: AWS::ApiGateway::RestApi%s, Properties: {Name: %s}}\n", id, after, pick("one", "two"))
			fmt.Fprintf(&b, "  %sPath: {Type: AWS::ApiGateway::Resource, Properties: {RestApiId: !Ref %s, ParentId: !GetAtt %s.RootResourceId, PathPart: %s}}\n", id, id, id, pick("p", "q"))
		case 5:
			fmt.Fprintf(&b, "  %s: {Type: AWS::IAM::Role%s, Properties: {%sAssumeRolePolicyDocument: {}%s}}\n", id, after,
				pick("", "RoleName: r, "), pick("", ", Policies: [{PolicyName: p, PolicyDocument: {}}]", ", Policies: [{PolicyName: q, PolicyDocument: {}}]"))
		case 6:
			fmt.Fprintf(&b, "  %s: {Type: AWS::Lambda::Function%s, Properties: {Role: !Sub 'x-${Keep}', Code: {S3Bucket: b, S3Key: %s}, Timeout: %s}}\n", id, after, pick("one", "two"), pick("3", "4", "5"))
		}
	}
	if h.rand.IntN(4) == 0 {
		fmt.Fprintf(&b, "  Bad: {Type: AWS::S3::BucketPolicy, DependsOn: %s, Properties: {Bucket: x, PolicyDocument: {}}}\n", pick(append(there, "Keep")...))
	}
	return b.String()
}

// named is the state with logical ids for physical ones, so that states of two stacks can be compared.
func (b *bench) named(stack string) string {
	b.t.Helper()
	out, err := b.s.describeStackResources(b.t.Context(), b.c, &DescribeStackResourcesInput{StackName: &stack})
	if err != nil {
		b.t.Fatal(err)
	}
	slices.SortFunc(out.StackResources, func(x, y StackResource) int {
		return len(cloud.Val(y.PhysicalResourceId)) - len(cloud.Val(x.PhysicalResourceId))
	})
	text := b.cloud.state()
	for _, r := range out.StackResources {
		if id := cloud.Val(r.PhysicalResourceId); id != "" && !strings.HasPrefix(id, "/") && id != "r" {
			text = strings.ReplaceAll(text, id, "<"+*r.LogicalResourceId+">")
		}
	}
	text = strings.NewReplacer(*out.StackResources[0].StackId, "<stack>", `"stack-name":"`+*out.StackResources[0].StackName, `"stack-name":"`).Replace(text)
	// Of two resources of one name either may keep what the other's interrupted creation made, with its mark.
	text = regexp.MustCompile(`"aws:cloudformation:logical-id":"[^"]*"|\{"Key":"aws:cloudformation:logical-id","Value":"[^"]*"\}`).ReplaceAllString(text, "")
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// fresh is what a new stack of the template has; "" when there can be none.
func (h *history) fresh(template string) string {
	b := newBench(h.t)
	b.create("shop", template)
	if st := b.settle("shop"); *st.StackStatus != "CREATE_COMPLETE" {
		return ""
	}
	return b.named("shop")
}

// disturb makes one of the next calls fail, sometimes each of its kind from then on.
func (h *history) disturb() {
	at, kind := len(h.cloud.calls)+1+h.rand.IntN(12), ""
	again := h.rand.IntN(3) == 0
	h.cloud.mu.Lock()
	defer h.cloud.mu.Unlock()
	h.cloud.hook = func(n int, call string) error {
		if n == at && again {
			kind = call
		}
		if n == at || call == kind {
			return &cloud.Fault{Code: "InvalidParameterValueException", Message: call + " refused", Status: 400}
		}
		return nil
	}
}

func (h *history) step() {
	status := *h.stack("shop").StackStatus
	switch {
	case status == "UPDATE_ROLLBACK_FAILED":
		h.say("continue the rollback")
		if _, err := h.s.continueUpdateRollback(h.t.Context(), h.c, &ContinueUpdateRollbackInput{StackName: new("shop")}); err != nil {
			h.t.Fatal(err)
		}
	case status == "UPDATE_FAILED" && h.rand.IntN(3) == 0:
		h.say("roll back")
		h.rollback("shop")
	default:
		h.change(status == "UPDATE_FAILED" || h.rand.IntN(3) == 0)
		return
	}
	h.settle("shop")
	h.check("")
}

// change updates the stack to a random template, with or without rollback, disturbed, killed or in peace.
func (h *history) change(noneBack bool) {
	template := h.template()
	options := []func(*UpdateStackInput){}
	if noneBack {
		options = append(options, noRollback)
	}
	refused := false
	start := func() {
		got := h.updateError("shop", template, options...)
		if refused = got == "No updates are to be performed."; !refused && got != "" {
			h.t.Fatalf("update: %s\n%s", got, template)
		}
	}
	kind := h.rand.IntN(4)
	h.say(fmt.Sprint("update, no rollback ", noneBack, ", way ", kind, "\n", template))
	switch kind {
	case 0:
		start()
	case 1, 2:
		h.disturb()
		start()
		h.settle("shop")
		h.refuse()
	case 3:
		h.halt()
		h.crashAt(1+h.rand.IntN(10), h.rand.IntN(2) == 0, start)
	}
	h.settle("shop")
	if !refused {
		h.check(template)
	}
}

func (h *history) say(what string) { h.log = append(h.log, what) }

// check holds the state against what the stack's status promises.
func (h *history) check(template string) {
	h.t.Helper()
	status := *h.stack("shop").StackStatus
	h.say("-> " + status)
	got, want := "", ""
	switch status {
	case "UPDATE_COMPLETE":
		got, want = h.named("shop"), h.fresh(template)
	case "UPDATE_ROLLBACK_COMPLETE":
		got, want = h.cloud.state(), h.stable
	case "UPDATE_FAILED", "UPDATE_ROLLBACK_FAILED":
		return
	default:
		h.t.Fatalf("status %s\n%s\n%s", status, strings.Join(h.log, "\n"), h.events("shop"))
	}
	if h.littered() { // a cleanup was disturbed: the next operation cleans up after it
		h.stable = ""
		return
	}
	known := status == "UPDATE_COMPLETE" || h.stable != ""
	if known && got != want {
		h.t.Fatalf("%s: got\n%s\nwant\n%s\n%s\n%s", status, got, want, strings.Join(h.log, "\n"), h.events("shop"))
	}
	h.stable = h.cloud.state()
}

// littered tells whether something that should be gone is still there.
func (h *history) littered() bool {
	h.t.Helper()
	var rows []*resourceRow
	err := h.store.View(h.t.Context(), func(r kv.Reader) (err error) {
		rows, err = h.s.resources(h.t.Context(), r, stackRef{h.c.Account, h.c.Region, *h.stack("shop").StackId})
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return slices.ContainsFunc(rows, func(r *resourceRow) bool { return len(r.Garbage) > 0 })
}

func TestHistories(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			h := &history{bench: idleBench(t), rand: rand.New(rand.NewPCG(seed, 0))}
			h.run()
			h.create("shop", "Resources:\n  Keep: {Type: AWS::Logs::LogGroup}\n")
			id := *h.want("shop", "CREATE_COMPLETE").StackId
			h.stable = h.cloud.state()
			for range 25 {
				h.step()
			}
			h.delete("shop")
			if st := h.settle(id); *st.StackStatus != "DELETE_COMPLETE" || h.cloud.state() != "" {
				t.Errorf("deleted: %s\n%s\n%s\n%s", *st.StackStatus, h.cloud.state(), strings.Join(h.log, "\n"), h.events(id))
			}
		})
	}
}
