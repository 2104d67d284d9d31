package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"
)

// What is written before the server is killed: in each round this much more.
const (
	restartEvents = 20_000 // log events, in calls of eventsInCall
	eventsInCall  = 200
	restartPuts   = 200 // objects
)

// measureRestart kills a server that has just been written to and times the next one's way to its first signed
// answer. What was acknowledged must be there.
func (b *bench) measureRestart(ctx context.Context) error {
	data := filepath.Join(b.work, "restart")
	var times []time.Duration
	for round := range b.rounds {
		begin := time.Now()
		c, err := b.start(ctx, data)
		if err != nil {
			return err
		}
		if err := c.firstAnswer(ctx); err != nil {
			return errors.Join(err, c.stop())
		}
		if round > 0 {
			times = append(times, time.Since(begin))
			if err := c.checkKept(ctx, round-1); err != nil {
				return errors.Join(err, c.stop())
			}
		}
		if err := c.write(ctx, round); err != nil {
			return errors.Join(err, c.stop())
		}
		if err := c.cmd.Process.Kill(); err != nil {
			return err
		}
		<-c.waited
	}
	b.add(fmt.Sprintf("restart after kill -9, each time %d log events and %d objects more, to the first signed answer", restartEvents, restartPuts),
		"≤ 300 ms", "%s", ms(median(times)))
	return nil
}

// write stores a round's events and objects.
func (c *cloud) write(ctx context.Context, round int) error {
	group, stream := "bench", fmt.Sprint("stream", round)
	if round == 0 {
		if err := c.logs(ctx, "CreateLogGroup", map[string]any{"logGroupName": group}); err != nil {
			return err
		}
		if _, err := c.send(ctx, http.MethodPut, "s3", "/bench", ""); err != nil {
			return err
		}
	}
	if err := c.logs(ctx, "CreateLogStream", map[string]any{"logGroupName": group, "logStreamName": stream}); err != nil {
		return err
	}
	for done := 0; done < restartEvents; done += eventsInCall {
		var events []map[string]any
		for i := range eventsInCall {
			events = append(events, map[string]any{"timestamp": time.Now().UnixMilli(), "message": fmt.Sprintf("event %d of round %d, as long as a line often is", done+i, round)})
		}
		if err := c.logs(ctx, "PutLogEvents", map[string]any{"logGroupName": group, "logStreamName": stream, "logEvents": events}); err != nil {
			return err
		}
	}
	for i := range restartPuts {
		if _, err := c.send(ctx, http.MethodPut, "s3", objectPath(round, i), fmt.Sprint("object ", i)); err != nil {
			return err
		}
	}
	return nil
}

// checkKept looks for the last object and the last event of a round.
func (c *cloud) checkKept(ctx context.Context, round int) error {
	body, err := c.send(ctx, http.MethodGet, "s3", objectPath(round, restartPuts-1), "")
	if err != nil {
		return err
	}
	if want := fmt.Sprint("object ", restartPuts-1); string(body) != want {
		return fmt.Errorf("after kill -9 the last object is %q, want %q", body, want)
	}
	out, err := c.logsCall(ctx, "GetLogEvents", map[string]any{"logGroupName": "bench", "logStreamName": fmt.Sprint("stream", round), "limit": 1})
	if err != nil {
		return err
	}
	var reply struct{ Events []struct{ Message string } }
	if err := json.Unmarshal(out, &reply); err != nil {
		return err
	}
	want := fmt.Sprintf("event %d of round %d, as long as a line often is", restartEvents-1, round)
	if len(reply.Events) != 1 || reply.Events[0].Message != want {
		return fmt.Errorf("after kill -9 the last event is %s, want %q", out, want)
	}
	return nil
}

func objectPath(round, i int) string { return fmt.Sprintf("/bench/%d/%d", round, i) }

func (c *cloud) logs(ctx context.Context, operation string, input any) error {
	_, err := c.logsCall(ctx, operation, input)
	return err
}

func (c *cloud) logsCall(ctx context.Context, operation string, input any) ([]byte, error) {
	body, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	return c.send(ctx, http.MethodPost, "logs", "/", string(body),
		"Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", "Logs_20140328."+operation)
}
