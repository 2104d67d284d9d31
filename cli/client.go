package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"lambent/wire/sigv4"
)

// client calls a cloud's public APIs with the root key.
type client struct {
	at     Running
	region string
}

func (d *Deps) client(r Running) *client {
	region := r.Region
	for _, name := range []string{"AWS_DEFAULT_REGION", "AWS_REGION"} {
		if v, ok := d.env(name); ok && v != "" {
			region = v
		}
	}
	return &client{at: r, region: region}
}

// A refusal is an error that the cloud answered.
type refusal struct {
	Code, Message string
	Status        int
}

func (e *refusal) Error() string { return e.Code + ": " + e.Message }

// do signs and sends one request and returns its reply, whose body the caller closes.
func (c *client) do(ctx context.Context, service, method, path string, header http.Header, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.at.Endpoint+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header[k] = v
	}
	key := sigv4.Credentials{AccessKeyID: c.at.Key.AccessKeyID, SecretAccessKey: c.at.Key.SecretAccessKey}
	if err := sigv4.Sign(req, key, c.region, service, time.Now()); err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the cloud at %s does not answer: %w", c.at.Endpoint, err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	return nil, parseRefusal(resp, b)
}

func parseRefusal(resp *http.Response, body []byte) error {
	e := &refusal{Status: resp.StatusCode, Code: resp.Header.Get("X-Amzn-Errortype")}
	var j struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
		Upper   string `json:"Message"`
	}
	var x struct {
		Code    string `xml:"Code"`
		Message string `xml:"Message"`
		Error   struct {
			Code    string `xml:"Code"`
			Message string `xml:"Message"`
		} `xml:"Error"`
	}
	if json.Unmarshal(body, &j) == nil {
		e.Message = j.Message + j.Upper
		if e.Code == "" {
			e.Code = j.Type
		}
	} else if xml.Unmarshal(body, &x) == nil {
		e.Code, e.Message = x.Code+x.Error.Code, x.Message+x.Error.Message
	}
	e.Code, _, _ = strings.Cut(e.Code, ":")
	if e.Code == "" {
		e.Code = resp.Status
	}
	return e
}

// json calls a REST-JSON operation.
func (c *client) json(ctx context.Context, service, method, path string, out any) error {
	resp, err := c.do(ctx, service, method, path, nil, nil)
	if err != nil {
		return err
	}
	return decodeReply(resp, out, json.Unmarshal)
}

// target calls an awsJson operation.
func (c *client) target(ctx context.Context, service, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	h := http.Header{"X-Amz-Target": {target}, "Content-Type": {"application/x-amz-json-1.1"}}
	resp, err := c.do(ctx, service, http.MethodPost, "/", h, body)
	if err != nil {
		return err
	}
	return decodeReply(resp, out, json.Unmarshal)
}

// query calls an awsQuery operation given as "Action=…&Version=…".
func (c *client) query(ctx context.Context, service, form string, out any) error {
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	resp, err := c.do(ctx, service, http.MethodPost, "/", h, []byte(form))
	if err != nil {
		return err
	}
	return decodeReply(resp, out, xml.Unmarshal)
}

func decodeReply(resp *http.Response, out any, decode func([]byte, any) error) error {
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return decode(b, out)
}
