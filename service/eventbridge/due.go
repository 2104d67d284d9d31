package eventbridge

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"lambent/cloud"
	"lambent/kv"
	"lambent/lang/jsonpath"
)

// event is the payload of a scheduled event, in the order in which AWS writes its members.
type event struct {
	id, account, region, rule, ruleARN string
	at                                 time.Time
}

// Due calls deliver for each target of the rule behind the timer id, with what a firing at that time sends it. A rule that
// is gone or disabled calls nothing.
func (s *Service) Due(ctx context.Context, id string, at time.Time, deliver func(account, region, functionARN, sourceARN string, payload []byte, attempts int, age time.Duration)) error {
	account, region, name, ok := splitTimerID(id)
	if !ok {
		return nil
	}
	c := cloud.Caller{Account: account, Region: region}
	var targets []Target
	err := s.kv.View(ctx, func(r kv.Reader) error {
		v, err := s.rule(ctx, r, c, defaultBus, name)
		if err != nil || v.State != enabled {
			return err
		}
		targets, err = targetsOf(ctx, r, c, defaultBus, name)
		return err
	})
	if cloud.FaultCode(err) == "ResourceNotFoundException" {
		return nil
	}
	if err != nil {
		return err
	}
	e := event{id: newEventID(), account: account, region: region, rule: name, ruleARN: ruleARN(c, defaultBus, name), at: at.UTC()}
	doc := e.document()
	for _, t := range targets {
		payload, err := inputFor(t, e, doc)
		if err != nil {
			return err
		}
		retry := cloud.Val(t.RetryPolicy)
		age := defaultAge
		if retry.MaximumEventAgeInSeconds != nil {
			age = time.Duration(*retry.MaximumEventAgeInSeconds) * time.Second
		}
		deliver(account, region, *t.Arn, e.ruleARN, payload, int(cloud.Or(retry.MaximumRetryAttempts, defaultAttempts)), age)
	}
	return nil
}

// document returns the event as JSON.
func (e event) document() *jsonpath.Object {
	doc := jsonpath.NewObject()
	doc.Set("version", "0")
	doc.Set("id", e.id)
	doc.Set("detail-type", "Scheduled Event")
	doc.Set("source", "aws.events")
	doc.Set("account", e.account)
	doc.Set("time", e.time())
	doc.Set("region", e.region)
	doc.Set("resources", []any{e.ruleARN})
	doc.Set("detail", jsonpath.NewObject())
	return doc
}

func (e event) time() string { return e.at.Format("2006-01-02T15:04:05Z") }

// inputFor returns what the target gets of the event.
func inputFor(t Target, e event, doc *jsonpath.Object) ([]byte, error) {
	switch {
	case t.Input != nil:
		return []byte(*t.Input), nil
	case t.InputPath != nil:
		v, _, err := evaluate(*t.InputPath, doc)
		return jsonpath.Append(nil, v), err
	case t.InputTransformer != nil:
		return transform(t.InputTransformer, e, doc)
	}
	return jsonpath.Append(nil, doc), nil
}

func evaluate(path string, doc any) (v any, found bool, err error) {
	p, err := jsonpath.Compile(path)
	if err != nil {
		return nil, false, err
	}
	return p.Eval(doc)
}

// newEventID makes a random UUID (version 4).
func newEventID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
