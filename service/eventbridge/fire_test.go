package eventbridge_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"lambent/service/eventbridge"
	"lambent/source/schedule"
)

// invoker keeps what it is given.
type invoker chan []byte

func (i invoker) InvokeAsync(_ context.Context, _, _, _, _ string, payload []byte) error {
	i <- payload
	return nil
}

// A rule that was put fires by the clock, and no more once it is disabled.
func TestRuleFires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		got := make(invoker, 10)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		source := schedule.New(r.timers.Timers, r.events, got, slog.New(slog.DiscardHandler))
		go func() { done <- source.Run(ctx) }()
		defer func() { cancel(); <-done }()

		r.caller.Now = time.Now()
		r.rule("tick", "cron(0/2 * * * ? *)")
		r.target("tick", eventbridge.Target{Id: new("1")})
		time.Sleep(5 * time.Minute)
		do[eventbridge.DisableRuleOutput](r, "DisableRule", &eventbridge.DisableRuleInput{Name: new("tick")})
		time.Sleep(time.Hour)
		close(got)
		var times []string
		for payload := range got {
			var e struct {
				Time   string
				Source string
			}
			if err := json.Unmarshal(payload, &e); err != nil || e.Source != "aws.events" {
				t.Errorf("got %s, %v", payload, err)
			}
			times = append(times, e.Time)
		}
		if len(times) != 2 || times[0] != "2000-01-01T00:02:00Z" || times[1] != "2000-01-01T00:04:00Z" {
			t.Errorf("fired at %v", times)
		}
	})
}
