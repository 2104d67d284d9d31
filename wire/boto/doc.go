// Package boto lets boto3 call two operations of every service that Lambent is to have, through the real gateway,
// against stubs: what the client sends arrives, and what the stub answers is what the client gets. Streams of events that
// a client sends, which boto3 does not have, are the AWS SDK for JavaScript's part. There is nothing here but tests;
// shapes_test.go is made by tool/apigen stubs.
package boto
