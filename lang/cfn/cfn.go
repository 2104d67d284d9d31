// Package cfn is CloudFormation's template language: text in, values out, without a clock or I/O.
//
// A template goes through four steps, each a function here:
//
//  1. [Decode] reads JSON or YAML into plain values (map[string]any, []any, string, bool, json.Number),
//     with the short tags (!Ref, !Sub, …) written out as the objects that they stand for.
//  2. [Body.Parameters] and [Bind] give every declared parameter its value.
//  3. [Body.Expand] unrolls Fn::ForEach and what else AWS::LanguageExtensions allows in places that must
//     be literal afterwards.
//  4. [Body.Compile] checks the sections and gives a [Template], whose conditions, resources and outputs
//     a [Scope] evaluates.
//
// Everything is bounded: the size of the text, nesting, the number of values that one evaluation makes
// and the bytes in them. Errors that a template's author must see are *cloud.Fault with the code
// ValidationError and the wording that AWS uses.
//
// Differences from AWS: numbers keep the text in which they were written, so an account id with leading
// zeros stays what it is; the macros AWS::Serverless-2016-10-31, AWS::Include and users' own are refused.
package cfn

import (
	"encoding/json"
	"maps"
	"slices"

	"lambent/cloud"
)

// Limits of a template, as on AWS where AWS states them.
const (
	MaxBytes     = 1_000_000 // a template read from S3
	MaxBodyBytes = 51_200    // a template in the request itself

	maxDepth      = 100     // nested values
	maxNodes      = 400_000 // values in one template
	maxResources  = 500
	maxParameters = 200
	maxOutputs    = 200
	maxMappings   = 200

	maxSteps  = 2_000_000 // evaluations in one Scope
	maxOutput = 32 << 20  // bytes of strings that one Scope makes
)

// invalid makes the fault that a wrong template or parameter gets.
func invalid(format string, args ...any) *cloud.Fault {
	return cloud.Faultf("ValidationError", format, args...)
}

// Text returns the string that CloudFormation makes of a scalar; ok is false for lists, objects and null.
func Text(v any) (s string, ok bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	}
	return "", false
}

// Equal tells whether two values are the same once scalars are read as text: 1, 1.0 in other spelling and
// "1" differ only in how they were written, and CloudFormation sees no change between 1 and "1".
func Equal(a, b any) bool {
	if s, ok := Text(a); ok {
		t, ok := Text(b)
		return ok && s == t
	}
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, Equal)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, Equal)
	case Unknown:
		return false
	}
	return a == nil && b == nil
}

// alphanumeric tells whether s may be a logical id.
func alphanumeric(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return s != ""
}

// sortedKeys returns the keys of m in order, so that errors and walks do not change from run to run.
func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
