// Package vectors holds the protocol test vectors of the Smithy project and runs them against the codecs, in
// reverse: the vectors are written for clients, and this is a server. There is nothing here but tests.
//
// testdata/cases.json and shapes_test.go are made by tool/vectors. testdata/skips.txt lists the vectors that
// do not apply, each with its reason; a name there that is no vector fails the test.
package vectors
