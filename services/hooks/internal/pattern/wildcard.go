package pattern

import "strings"

// wildcard is {"wildcard": "a*b"}: * is any characters or none, \* and \\ are the characters themselves.
func wildcard(v *value) (test, error) {
	if v.kind != text {
		return test{}, invalid("wildcard match pattern must be a string")
	}
	parts, err := wildcardParts(v.text)
	if err != nil {
		return test{}, err
	}
	t := ofString(func(s string) bool { return matchParts(parts, s) })
	t.globs = []glob{globOf(parts)}
	return t, nil
}

// wildcardParts is what stands between the asterisks. Positions in messages count the quote before the string, as the
// service's do.
func wildcardParts(s string) ([]string, error) {
	var parts []string
	var part strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '*' && i+1 < len(s) && s[i+1] == '*':
			return nil, invalid("Consecutive wildcard characters at pos %d", i+1)
		case s[i] == '*':
			parts = append(parts, part.String())
			part.Reset()
		case s[i] == '\\' && (i+1 == len(s) || s[i+1] != '*' && s[i+1] != '\\'):
			return nil, invalid("Invalid escape character at pos %d", i+1)
		case s[i] == '\\':
			i++
			part.WriteByte(s[i])
		default:
			part.WriteByte(s[i])
		}
	}
	return append(parts, part.String()), nil
}

// matchParts finds the parts in order; the first place where one fits is as good as any.
func matchParts(parts []string, s string) bool {
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return s == first
	}
	if len(s) < len(first)+len(last) || !strings.HasPrefix(s, first) || !strings.HasSuffix(s, last) {
		return false
	}
	s = s[len(first) : len(s)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return true
}

func globOf(parts []string) glob {
	var g glob
	for i, part := range parts {
		if i > 0 {
			g = append(g, anyBytes)
		}
		for _, b := range []byte(part) {
			g = append(g, int(b))
		}
	}
	return g
}
