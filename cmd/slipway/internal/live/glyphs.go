package live

// glyphs is the few characters beyond text that the view draws with.
type glyphs struct {
	done, now, todo, failed, skipped, stopped, waiting string // marks
	full, half, empty, missing                         string // cells of bars
	arrow, dot, more                                   string
}

func glyphsFor(ascii bool) glyphs {
	if ascii {
		return glyphs{
			done: "+", now: ">", todo: ".", failed: "x", skipped: "-", stopped: "!", waiting: "?",
			full: "#", half: "=", empty: "-", missing: ".", arrow: "->", dot: "-", more: "~",
		}
	}
	return glyphs{
		done: "✓", now: "▸", todo: "○", failed: "✗", skipped: "–", stopped: "■", waiting: "‖",
		full: "█", half: "▓", empty: "░", missing: "·", arrow: "→", dot: "·", more: "…",
	}
}
