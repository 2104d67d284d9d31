package kv

import (
	"bytes"
	"slices"
	"sort"

	"lambent/kv/driver"
)

// overlay holds the writes of a transaction until its commit, and answers what they make of a key or a
// range. It keeps at most one operation for a key: a later write replaces an earlier one in place, and a
// range delete drops the writes it covers. So a key found in points is decided by its operation,
// whatever ranges were deleted before it.
type overlay struct {
	ops     []driver.Op
	points  []int32 // indexes into ops of Set and Delete, by key
	deleted []int32 // indexes into ops of DeleteRange
	stamped int     // number of SetStamped
	size    int     // bytes of keys and values in ops
}

// find returns where key is, or would be, in points.
func (o *overlay) find(key []byte) (int, bool) {
	return sort.Find(len(o.points), func(i int) int { return bytes.Compare(key, o.ops[o.points[i]].Key) })
}

func (o *overlay) put(op driver.Op) {
	o.size += len(op.Key) + len(op.Value)
	i, found := o.find(op.Key)
	if found {
		old := &o.ops[o.points[i]]
		o.size -= len(old.Key) + len(old.Value)
		*old = op
		return
	}
	o.points = slices.Insert(o.points, i, int32(len(o.ops)))
	o.ops = append(o.ops, op)
}

func (o *overlay) putStamped(op driver.Op) {
	o.size += len(op.Key) + len(op.Value)
	o.stamped++
	o.ops = append(o.ops, op)
}

func (o *overlay) deleteRange(begin, end []byte) {
	lo, _ := o.find(begin)
	hi, _ := o.find(end)
	for _, i := range o.points[lo:hi] {
		o.size -= len(o.ops[i].Key) + len(o.ops[i].Value)
		o.ops[i] = driver.Op{}
	}
	o.points = slices.Delete(o.points, lo, hi)
	o.size += len(begin) + len(end)
	o.deleted = append(o.deleted, int32(len(o.ops)))
	o.ops = append(o.ops, driver.Op{Kind: driver.DeleteRange, Key: begin, Value: end})
}

// get returns what the transaction itself has made of key; known is false when it has not touched it.
func (o *overlay) get(key []byte) (value []byte, known bool) {
	if len(o.ops) == 0 {
		return nil, false
	}
	if i, found := o.find(key); found {
		return bytes.Clone(o.ops[o.points[i]].Value), true // nil for Delete
	}
	for _, i := range o.deleted {
		if op := &o.ops[i]; bytes.Compare(op.Key, key) <= 0 && bytes.Compare(key, op.Value) < 0 {
			return nil, true
		}
	}
	return nil, false
}

// within returns the point writes in [begin, end).
func (o *overlay) within(begin, end []byte) []int32 {
	lo, _ := o.find(begin)
	hi, _ := o.find(end)
	return o.points[lo:max(lo, hi)]
}

// pieces returns [begin, end) without the ranges that the transaction has deleted, as ascending pieces: only there
// can the store beneath still have something to say.
func (o *overlay) pieces(begin, end []byte) []span {
	rest := []span{{begin, end}}
	for _, i := range o.deleted {
		var cut []span
		for _, s := range rest {
			cut = s.without(cut, o.ops[i].Key, o.ops[i].Value)
		}
		rest = cut
	}
	return rest
}

// span is the keys from begin up to end.
type span struct{ begin, end []byte }

// without appends to out what is left of s when [begin, end) is taken away.
func (s span) without(out []span, begin, end []byte) []span {
	if bytes.Compare(end, s.begin) <= 0 || bytes.Compare(s.end, begin) <= 0 {
		return append(out, s)
	}
	if bytes.Compare(s.begin, begin) < 0 {
		out = append(out, span{s.begin, begin})
	}
	if bytes.Compare(end, s.end) < 0 {
		out = append(out, span{end, s.end})
	}
	return out
}
