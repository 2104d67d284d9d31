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
	if len(parts) != 5 || parts[2] != "version" && parts[2] != "layerversion" {
		return kv.CheckRow(row.Value)
	}
	account, isAccount := parts[0].(string)
	region, isRegion := parts[1].(string)
	name, isName := parts[3].(string)
	number, isNumber := parts[4].(int64)
	if !isAccount || !isRegion || !isName || !isNumber {
		return errors.New("the key is not that of a version")
	}
	if parts[2] == "layerversion" {
		return checkLayer(row, layerID{account, region, name}, number, refers)
	}
	var v versionRow
	if err := kv.DecodeRow(row.Value, &v); err != nil {
		return err
	}
	if v.Number != number {
		return errors.New("the row's number is not its key's")
	}
	f := functionID{account: account, region: region, name: name}
	refers(v.Code, f.owner(number))
	for _, layer := range v.Layers {
		refers(layer.Code, f.layersOwner(number))
	}
	return nil
}

func checkLayer(row kv.KV, l layerID, number int64, refers func(ref blob.Ref, owner string)) error {
	var v layerVersionRow
	if err := kv.DecodeRow(row.Value, &v); err != nil {
		return err
	}
	if v.Number != number {
		return errors.New("the row's number is not its key's")
	}
	refers(v.Code, l.owner(number))
	return nil
}
