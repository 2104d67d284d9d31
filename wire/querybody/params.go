package querybody

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// params are the parameters below one name, sorted so that those of each part of it stand together.
// All keys have the same first at bytes; what follows is nothing or a dot and more.
type params struct {
	list []param
	at   int
}

type param struct {
	key, value string
}

func sortParams(values url.Values) params {
	list := make([]param, 0, len(values))
	for k, v := range values {
		list = append(list, param{k, v[0]})
	}
	slices.SortFunc(list, func(a, b param) int { return compareKeys(a.key, b.key) })
	return params{list, -1}
}

// compareKeys orders keys part by part: a dot comes before every other character.
func compareKeys(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		switch {
		case a[i] == '.':
			return -1
		case b[i] == '.':
			return 1
		}
		return cmp.Compare(a[i], b[i])
	}
	return cmp.Compare(len(a), len(b))
}

// value returns the value of the name itself; ok is false when there are only parameters below it.
func (p params) value() (v string, ok bool) {
	if len(p.list) > 0 && len(p.list[0].key) == p.at {
		return p.list[0].value, true
	}
	return "", false
}

// each calls fn for every part that follows the name, with the parameters below it.
func (p params) each(fn func(part string, below params) error) error {
	list := p.list
	if _, ok := p.value(); ok {
		list = list[1:]
	}
	for len(list) > 0 {
		part, _, _ := strings.Cut(list[0].key[p.at+1:], ".")
		at := p.at + 1 + len(part)
		n := 1
		for n < len(list) && samePart(list[n].key, list[0].key, at) {
			n++
		}
		if err := fn(part, params{list[:n], at}); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

func samePart(key, first string, at int) bool {
	return len(key) >= at && key[:at] == first[:at] && (len(key) == at || key[at] == '.')
}

// below returns the parameters below one part.
func (p params) below(name string) (found params) {
	p.each(func(part string, b params) error {
		if part == name {
			found = b
		}
		return nil
	})
	return found
}

// numbered returns the parameters below the numbered parts, in the order of their numbers.
func (p params) numbered() []params {
	type entry struct {
		n int
		p params
	}
	var entries []entry
	p.each(func(part string, b params) error {
		if n, err := strconv.Atoi(part); err == nil {
			entries = append(entries, entry{n, b})
		}
		return nil
	})
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.n, b.n) })
	out := make([]params, len(entries))
	for i, e := range entries {
		out[i] = e.p
	}
	return out
}
