package rule

// Cycle returns a cycle that the alarm reaches through its children, e.g. [a b a], or nil if there is none. The rules have
// the children of each composite alarm; an alarm that is not in them has none. With the same rules the answer is the same.
func Cycle(name string, rules map[string][]string) []string {
	const (
		open = iota + 1
		done
	)
	var path []string
	marks := make(map[string]int, len(rules))
	var visit func(string) []string
	visit = func(at string) []string {
		switch marks[at] {
		case done:
			return nil
		case open:
			for i := range path {
				if path[i] == at {
					return append(append([]string(nil), path[i:]...), at)
				}
			}
		}
		marks[at] = open
		path = append(path, at)
		for _, child := range rules[at] {
			if cycle := visit(child); cycle != nil {
				return cycle
			}
		}
		path = path[:len(path)-1]
		marks[at] = done
		return nil
	}
	return visit(name)
}
