// Package gateway is the cloud's front door: it owns the wire so that no service has to. It accepts
// connections (plain HTTP and TLS on one port), finds the operation that a request is for, checks who
// signed it and whether he may, decodes and checks the input, calls the service's typed operation, and
// writes its output or fault in the protocol that the client speaks. One log line and one measurement
// come of each request.
//
// # How the operation is found
//
// By the API models and what the request carries, never by the User-Agent, in this order:
//
//  1. what users published: an Endpoint's host label or path; no API signature is asked for
//  2. X-Amz-Target (awsJson)
//  3. /service/X/operation/Y (rpcv2Cbor)
//  4. Action and Version, in the form or the query string (awsQuery), of the service in the signature's scope
//  5. the request URIs of the service in the signature's scope (restJson1, restXml)
//  6. S3, with the bucket in the path or in the host name
//
// An unsigned request belongs to the service that its host names, to the operation that its Action and
// Version or its dated path name, and else to S3.
//
// # The order of checks
//
// Form of the signature, access key, session token, time, signature, operation, form of the input,
// constraints of the model, permission. What failed is said in AWS's words for the service's protocol
// (refusal.go).
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"lambent/cloud"
	"lambent/service"
	"lambent/trace"
	"lambent/wire/sigv4"
)

// A Key is what the cloud knows of an access key.
type Key struct {
	Secret string       // "" means that there is no such key, or that it is not active
	Caller cloud.Caller // Account, ARN, UserID, RoleARN, Root and Via; the gateway fills in the rest
}

// Keys finds access keys.
type Keys interface {
	// Secret returns the key with the id that a request names. sessionToken is what came in
	// X-Amz-Security-Token, "" when nothing did: whether it belongs to the key is checked here. A key that
	// does not exist is a zero Key without error; ErrToken and ErrExpired speak of the token; any other
	// error means that the question could not be answered.
	Secret(ctx context.Context, accessKeyID, sessionToken string) (Key, error)
}

// Why a key does not open the door although it may exist.
var (
	ErrToken   = errors.New("the session token does not belong to the access key")
	ErrExpired = errors.New("the session is over")
)

// An Authorizer decides whether a caller who is not root may do something. nil means yes. No is a
// *cloud.Fault with the code "AccessDenied" and AWS's sentence about it; the gateway changes the code
// to the one of the service's protocol. Any other error is an internal failure.
type Authorizer interface {
	Authorize(ctx context.Context, c cloud.Caller, action string, resources []string) error
}

// Config says what a gateway is made of.
type Config struct {
	Services   []service.Service
	Keys       Keys
	Authorizer Authorizer   // nil: only root may do anything
	Log        *slog.Logger // nil: nothing is logged
	Domain     string       // what the cloud calls itself, with or without port; "" is localhost
	Region     string       // region of requests that do not say theirs; "" is us-east-1

	// Registry takes the gateway's measurements and is served at /metrics; nil makes a fresh one.
	Registry *prometheus.Registry
	// MetricsAnywhere serves /metrics to peers that are not on this machine, too.
	MetricsAnywhere bool
	// Admin answers requests below AdminPath; only those that root has signed reach it. Nil: there are no such paths.
	Admin http.Handler
	// Tracer follows every request; nil follows none.
	Tracer *trace.Tracer
	// QuietRequests leaves the line for each request out of the log; failures of our own stay in.
	QuietRequests bool
}

// A Gateway answers every request to the cloud. It is an http.Handler and a service.Caller; both may be
// used from many goroutines at once.
type Gateway struct {
	keys      Keys
	authorize Authorizer
	log       *slog.Logger
	quiet     bool
	admin     http.Handler
	region    string
	verifier  sigv4.Verifier
	hosts     hosts
	metrics   *metrics
	tracer    *trace.Tracer
	directory
}

// New builds the tables by which operations are found. Its error is a mistake in a service's table.
func New(c Config) (*Gateway, error) {
	if c.Keys == nil {
		return nil, errors.New("gateway: no Keys")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	dir, err := newDirectory(c.Services)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	m, err := newMetrics(c.Registry, c.MetricsAnywhere)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	return &Gateway{
		keys: c.Keys, authorize: c.Authorizer, log: c.Log, quiet: c.QuietRequests, admin: c.Admin, region: c.Region,
		hosts: newHosts(c.Domain, dir), metrics: m, tracer: c.Tracer, directory: dir,
	}, nil
}

var (
	_ http.Handler   = (*Gateway)(nil)
	_ service.Caller = (*Gateway)(nil)
)
