// Package boto lets boto3 call two operations of every service that Lambent is to have, through the real gateway,
// against stubs: what the client sends arrives, and what the stub answers is what the client gets. There is nothing
// here but tests; shapes_test.go is made by tool/apigen stubs.
package boto
