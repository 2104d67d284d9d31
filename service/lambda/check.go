package lambda

import (
	"errors"

	"lambent/blob"
	"lambent/kv"
)

// CheckRow says what is wrong with a row of this room, and names the blobs that it refers to and as whom.
func CheckRow(row kv.KV, refers func(ref blob.Ref, owner string)) error {
	parts, err := kv.Unkey(row.Key)
	if err != nil {
		return err
	}
	if len(parts) != 5 || parts[2] != "version" {
		return kv.CheckRow(row.Value)
	}
	account, isAccount := parts[0].(string)
	region, isRegion := parts[1].(string)
	name, isName := parts[3].(string)
	number, isNumber := parts[4].(int64)
	if !isAccount || !isRegion || !isName || !isNumber {
		return errors.New("the key is not that of a function's version")
	}
	var v versionRow
	if err := kv.DecodeRow(row.Value, &v); err != nil {
		return err
	}
	if v.Number != number {
		return errors.New("the row's number is not its key's")
	}
	refers(v.Code, functionID{account: account, region: region, name: name}.owner(number))
	return nil
}
