package plan

import "strconv"

// repeats tells whether a List holds a value twice.
func repeats(s Slot) bool {
	seen := make(map[string]bool, s.Len())
	for i := range s.Len() {
		e, ok := s.Index(i)
		if !ok {
			continue
		}
		k := string(appendIdentity(nil, e))
		if seen[k] {
			return true
		}
		seen[k] = true
	}
	return false
}

// appendIdentity appends bytes that two values share only if they are equal: each scalar with its length before it,
// and what holds others with the number of them.
func appendIdentity(b []byte, s Slot) []byte {
	switch s.Type().Kind {
	case Struct:
		for _, m := range s.Type().Members {
			if v, ok := s.Get(m); ok {
				b = appendIdentity(append(strconv.AppendInt(b, int64(m.index), 10), '='), v)
			}
		}
		return append(b, '}')
	case List:
		b = append(strconv.AppendInt(b, int64(s.Len()), 10), '[')
		for i := range s.Len() {
			if v, ok := s.Index(i); ok {
				b = appendIdentity(b, v)
			}
			b = append(b, ',')
		}
		return b
	case Map:
		b = append(strconv.AppendInt(b, int64(s.MapLen()), 10), '{')
		s.Entries(func(key string, v Slot, ok bool) bool {
			b = append(append(strconv.AppendInt(b, int64(len(key)), 10), ':'), key...)
			if ok {
				b = appendIdentity(b, v)
			}
			b = append(b, ',')
			return true
		})
		return b
	}
	text := s.AppendText(nil, Epoch)
	return append(append(strconv.AppendInt(b, int64(len(text)), 10), ':'), text...)
}
