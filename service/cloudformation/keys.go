package cloudformation

import "lambent/kv"

// The keys of this room. All but the list of running operations begin with account and region:
//
//	account region "stack" stackID                 stackRow
//	account region "name" stackName                the id of the stack that has the name now
//	account region "settings" stackID              settingsRow: what may change while an operation runs
//	account region "resource" stackID logicalID    resourceRow
//	account region "event" stackID ‖ Stamp         eventRow, in the order in which things happened
//	account region "template" stackID hash         the template's text, gzipped
//	account region "changeset" stackID id          changeSetRow
//	account region "changesetstack" id             id of the stack that the change set is for
//	account region "export" name                   exportRow
//	account region "import" name stackID           importRow
//	account region "signal" stackID                signalRow: what the engine is asked to do meanwhile
//	"running" account region stackID               runningRow: the lease of the engine that works on it
//	"deleted" time account region stackID          deleted stacks, for the day when they are forgotten
//
// The last two stand apart because the engine looks for work of all accounts at once.

func stackKey(account, region, id string) []byte { return kv.Key(account, region, "stack", id) }
func nameKey(account, region, name string) []byte {
	return kv.Key(account, region, "name", name)
}
func settingsKey(account, region, id string) []byte { return kv.Key(account, region, "settings", id) }
func resourceKey(account, region, stack, id string) []byte {
	return kv.Key(account, region, "resource", stack, id)
}
func eventPrefix(account, region, stack string) []byte {
	return kv.Key(account, region, "event", stack)
}
func templateKey(account, region, stack, hash string) []byte {
	return kv.Key(account, region, "template", stack, hash)
}
func changeSetKey(account, region, stack, id string) []byte {
	return kv.Key(account, region, "changeset", stack, id)
}
func exportKey(account, region, name string) []byte { return kv.Key(account, region, "export", name) }
func importKey(account, region, name, stack string) []byte {
	return kv.Key(account, region, "import", name, stack)
}
func signalKey(account, region, stack string) []byte { return kv.Key(account, region, "signal", stack) }
func runningKey(account, region, stack string) []byte {
	return kv.Key("running", account, region, stack)
}

// changeSetStackKey tells which stack a change set belongs to.
func changeSetStackKey(account, region, id string) []byte {
	return kv.Key(account, region, "changesetstack", id)
}
