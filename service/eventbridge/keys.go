package eventbridge

import "lambent/kv"

func ruleKey(account, region, bus, name string) []byte {
	return kv.Key(account, region, "rule", bus, name)
}

func targetKey(account, region, bus, rule, id string) []byte {
	return kv.Key(account, region, "target", bus, rule, id)
}

func byTargetKey(account, region, bus, arn, rule, id string) []byte {
	return kv.Key(account, region, "bytarget", bus, arn, rule, id)
}

func busTagsKey(account, region, bus string) []byte { return kv.Key(account, region, "bustags", bus) }
