package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lambent/wire/sigv4"
)

// call sends a signed awsQuery request and returns the reply's body.
func (c *cloud) call(ctx context.Context, service, form string) ([]byte, error) {
	return c.send(ctx, http.MethodPost, service, "/", form, "Content-Type", "application/x-www-form-urlencoded")
}

// send signs and sends a request and returns the reply's body. Headers are names and values in turn.
func (c *cloud) send(ctx context.Context, method, service, path, body string, headers ...string) ([]byte, error) {
	var key struct{ AccessKeyID, SecretAccessKey string }
	b, err := os.ReadFile(filepath.Join(c.data, "root-key.json"))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &key); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.endpoint+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if err := sigv4.Sign(req, sigv4.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey}, "us-east-1", service, time.Now()); err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode >= 300 || resp.Header.Get("X-Amz-Function-Error") != "") {
		err = fmt.Errorf("%s %s: %.500s", service, resp.Status, out)
	}
	return out, err
}

func (c *cloud) invoke(ctx context.Context, function string) error {
	_, err := c.send(ctx, http.MethodPost, "lambda", "/2015-03-31/functions/"+function+"/invocations", "{}", "Content-Type", "application/json")
	return err
}

// createStack makes a stack and waits for it.
func (c *cloud) createStack(ctx context.Context, name, template string) error {
	form := url.Values{"Action": {"CreateStack"}, "Version": {"2010-05-15"}, "StackName": {name}, "TemplateBody": {template}, "Capabilities.member.1": {"CAPABILITY_IAM"}}
	if _, err := c.call(ctx, "cloudformation", form.Encode()); err != nil {
		return err
	}
	for range 600 {
		out, err := c.call(ctx, "cloudformation", "Action=DescribeStacks&Version=2010-05-15&StackName="+name)
		if err != nil {
			return err
		}
		var reply struct {
			Status string `xml:"DescribeStacksResult>Stacks>member>StackStatus"`
			Reason string `xml:"DescribeStacksResult>Stacks>member>StackStatusReason"`
		}
		if err := xml.Unmarshal(out, &reply); err != nil {
			return err
		}
		if reply.Status == "CREATE_COMPLETE" {
			return nil
		}
		if reply.Status != "CREATE_IN_PROGRESS" {
			events, _ := c.call(ctx, "cloudformation", "Action=DescribeStackEvents&Version=2010-05-15&StackName="+name)
			return fmt.Errorf("stack %s: %s %s\n%s", name, reply.Status, reply.Reason, events)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("the stack was not ready in time")
}

// stackTime adds up the times from the beginning to the end of a stack's operations.
func (c *cloud) stackTime(ctx context.Context, name string) (total time.Duration, err error) {
	out, err := c.call(ctx, "cloudformation", "Action=DescribeStackEvents&Version=2010-05-15&StackName="+name)
	if err != nil {
		return 0, err
	}
	var reply struct {
		Events []struct {
			Timestamp      time.Time
			ResourceType   string
			ResourceStatus string
		} `xml:"DescribeStackEventsResult>StackEvents>member"`
	}
	if err := xml.Unmarshal(out, &reply); err != nil {
		return 0, err
	}
	var begun time.Time
	for i := len(reply.Events) - 1; i >= 0; i-- { // the oldest event stands last
		e := reply.Events[i]
		if e.ResourceType != "AWS::CloudFormation::Stack" {
			continue
		}
		switch e.ResourceStatus {
		case "CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS":
			begun = e.Timestamp
		case "CREATE_COMPLETE", "UPDATE_COMPLETE":
			total += e.Timestamp.Sub(begun)
		}
	}
	return total, nil
}
