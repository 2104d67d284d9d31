package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// model is the intermediate form of an API.
type model struct {
	Metadata   metadata            `json:"metadata"`
	Operations ordered[*operation] `json:"operations"`
	Shapes     ordered[*shape]     `json:"shapes"`
}

type metadata struct {
	APIVersion         string          `json:"apiVersion"`
	EndpointPrefix     string          `json:"endpointPrefix"`
	GlobalEndpoint     string          `json:"globalEndpoint,omitempty"`
	JSONVersion        string          `json:"jsonVersion,omitempty"`
	Protocol           string          `json:"protocol"`
	Protocols          []string        `json:"protocols,omitempty"`
	ServiceID          string          `json:"serviceId"`
	SigningName        string          `json:"signingName,omitempty"`
	TargetPrefix       string          `json:"targetPrefix,omitempty"`
	XMLNamespace       string          `json:"xmlNamespace,omitempty"`
	AWSQueryCompatible json.RawMessage `json:"awsQueryCompatible,omitempty"`
}

type operation struct {
	HTTP struct {
		Method       string `json:"method"`
		RequestURI   string `json:"requestUri"`
		ResponseCode int    `json:"responseCode,omitempty"`
	} `json:"http"`
	Input        *ref     `json:"input,omitempty"`
	Output       *ref     `json:"output,omitempty"`
	Errors       []ref    `json:"errors,omitempty"`
	AuthType     string   `json:"authtype,omitempty"`
	Auth         []string `json:"auth,omitempty"`
	HTTPChecksum *struct {
		RequestAlgorithmMember  string `json:"requestAlgorithmMember,omitempty"`
		RequestChecksumRequired bool   `json:"requestChecksumRequired,omitempty"`
	} `json:"httpChecksum,omitempty"`
}

// ref is the use of a shape: as a member, as an element, as an operation's input.
type ref struct {
	Shape            string        `json:"shape"`
	Location         string        `json:"location,omitempty"`
	LocationName     string        `json:"locationName,omitempty"`
	ResultWrapper    string        `json:"resultWrapper,omitempty"`
	Flattened        bool          `json:"flattened,omitempty"`
	Streaming        bool          `json:"streaming,omitempty"`
	XMLAttribute     bool          `json:"xmlAttribute,omitempty"`
	XMLNamespace     *xmlNamespace `json:"xmlNamespace,omitempty"`
	TimestampFormat  string        `json:"timestampFormat,omitempty"`
	JSONValue        bool          `json:"jsonvalue,omitempty"`
	IdempotencyToken bool          `json:"idempotencyToken,omitempty"`
	HostLabel        bool          `json:"hostLabel,omitempty"`
	EventHeader      bool          `json:"eventheader,omitempty"`
	EventPayload     bool          `json:"eventpayload,omitempty"`
	QueryName        string        `json:"queryName,omitempty"`
}

type xmlNamespace struct {
	Prefix string `json:"prefix,omitempty"`
	URI    string `json:"uri"`
}

// UnmarshalJSON takes the two forms that the models have: a plain URI, and an object.
func (n *xmlNamespace) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &n.URI)
	}
	type plain xmlNamespace
	return json.Unmarshal(b, (*plain)(n))
}

type shape struct {
	Type            string        `json:"type"`
	Members         ordered[*ref] `json:"members,omitzero"`
	Required        []string      `json:"required,omitempty"`
	Member          *ref          `json:"member,omitempty"`
	Key             *ref          `json:"key,omitempty"`
	Value           *ref          `json:"value,omitempty"`
	Min             *json.Number  `json:"min,omitempty"`
	Max             *json.Number  `json:"max,omitempty"`
	Pattern         string        `json:"pattern,omitempty"`
	Enum            []string      `json:"enum,omitempty"`
	Flattened       bool          `json:"flattened,omitempty"`
	Exception       bool          `json:"exception,omitempty"`
	Fault           bool          `json:"fault,omitempty"`
	Error           *errorTrait   `json:"error,omitempty"`
	Union           bool          `json:"union,omitempty"`
	Document        bool          `json:"document,omitempty"`
	EventStream     bool          `json:"eventstream,omitempty"`
	Streaming       bool          `json:"streaming,omitempty"`
	Sensitive       bool          `json:"sensitive,omitempty"`
	Payload         string        `json:"payload,omitempty"`
	TimestampFormat string        `json:"timestampFormat,omitempty"`
	LocationName    string        `json:"locationName,omitempty"`
	XMLNamespace    *xmlNamespace `json:"xmlNamespace,omitempty"`
}

type errorTrait struct {
	Code           string `json:"code,omitempty"`
	HTTPStatusCode int    `json:"httpStatusCode,omitempty"`
	SenderFault    bool   `json:"senderFault,omitempty"`
}

// ordered is a JSON object that keeps the order of its members: models list members in the order in
// which AWS writes them.
type ordered[T any] struct {
	names []string
	m     map[string]T
}

func (o ordered[T]) IsZero() bool { return len(o.names) == 0 }

func (o *ordered[T]) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("want an object, got %v, %v", t, err)
	}
	o.m = map[string]T{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		var v T
		if err := d.Decode(&v); err != nil {
			return fmt.Errorf("%v: %w", t, err)
		}
		name := t.(string)
		o.names = append(o.names, name)
		o.m[name] = v
	}
	return nil
}

func (o ordered[T]) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, name := range o.names {
		if i > 0 {
			b = append(b, ',')
		}
		k, _ := json.Marshal(name)
		v, err := json.Marshal(o.m[name])
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, k...), ':'), v...)
	}
	return append(b, '}'), nil
}

func readModel(file string) (*model, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m := &model{}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}
