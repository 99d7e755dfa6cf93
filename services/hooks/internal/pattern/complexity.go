package pattern

import (
	"encoding/binary"
	"slices"
)

// glob is a wildcard pattern: bytes, and anyBytes for an asterisk.
type glob []int

const anyBytes = 256

// maxPrefixes is how many beginnings of wildcard patterns one value may match at once. EventBridge gives no number: it refuses
// "*:*:*:*:*:event-bus/*", which comes to 10.
const maxPrefixes = 9

// maxSteps bounds the search for that value.
const maxSteps = 1 << 17

// checkComplexity refuses the wildcard patterns of a key when some value would match too many of their beginnings at once.
func checkComplexity(tests []test) error {
	s := &search{bytes: []int{anyBytes}, seen: map[string]bool{}}
	for _, t := range tests {
		for _, g := range t.globs {
			s.add(g)
		}
	}
	if len(s.globs) == 0 {
		return nil
	}
	if !s.run() {
		return invalid("Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a wildcard character")
	}
	return nil
}

// search walks the sets of beginnings that values can match. A beginning is a glob and how far it goes.
type search struct {
	globs []glob
	bytes []int // those that occur in a glob, and one that stands for all others
	seen  map[string]bool
	todo  [][]beginning
}

type beginning struct{ glob, length int }

// add takes a glob with the quotes around it, which are part of a value as they are in EventBridge.
func (s *search) add(g glob) {
	g = slices.Concat(glob{'"'}, g, glob{'"'})
	s.globs = append(s.globs, g)
	for _, b := range g {
		if !slices.Contains(s.bytes, b) {
			s.bytes = append(s.bytes, b)
		}
	}
}

// run reports whether every value matches few enough beginnings.
func (s *search) run() bool {
	var start []beginning
	for i := range s.globs {
		start = append(start, beginning{glob: i})
	}
	s.todo = [][]beginning{start}
	for steps := 0; len(s.todo) > 0; {
		at := s.todo[len(s.todo)-1]
		s.todo = s.todo[:len(s.todo)-1]
		for _, b := range s.bytes {
			next := s.after(at, b)
			if steps++; steps > maxSteps || len(next) > maxPrefixes {
				return false
			}
			if key := name(next); len(next) > 0 && !s.seen[key] {
				s.seen[key] = true
				s.todo = append(s.todo, next)
			}
		}
	}
	return true
}

// after is the beginnings that a value matches when it goes on with a byte, in order.
func (s *search) after(at []beginning, b int) []beginning {
	var next []beginning
	for _, from := range at {
		g := s.globs[from.glob]
		if from.length > 0 && g[from.length-1] == anyBytes {
			next = append(next, from) // an asterisk takes the byte
		}
		if from.length == len(g) || g[from.length] == anyBytes || g[from.length] != b {
			continue
		}
		next = append(next, beginning{from.glob, from.length + 1})
		if from.length+1 < len(g) && g[from.length+1] == anyBytes {
			next = append(next, beginning{from.glob, from.length + 2}) // which may be empty
		}
	}
	slices.SortFunc(next, func(a, b beginning) int { return (a.glob-b.glob)<<16 + a.length - b.length })
	return slices.Compact(next)
}

func name(at []beginning) string {
	var key []byte
	for _, b := range at {
		key = binary.AppendUvarint(binary.AppendUvarint(key, uint64(b.glob)), uint64(b.length))
	}
	return string(key)
}
