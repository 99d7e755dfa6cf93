// Package screen redraws a terminal in place. It takes the alternate screen, so that what stood there before comes
// back, and so that neither a resize nor a key pressed by the way can tear the picture. It knows escape sequences and
// nothing of what is drawn.
package screen

import (
	"bytes"
	"io"
)

const (
	enter = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J" // alternate screen, no cursor, no wrapping, clear
	leave = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	begin = "\x1b[?2026h\x1b[H"       // synchronised output, cursor home
	end   = "\x1b[J\x1b[H\x1b[?2026l" // clear what is below; home, where an echoed key is drawn over
	next  = "\x1b[K\r\n"              // clear the rest of the line
)

// Screen is a terminal that is drawn on. Open it, Draw, and Close it whatever happens.
type Screen struct {
	out  io.Writer
	open bool
}

// Open takes the screen.
func Open(out io.Writer) *Screen {
	s := &Screen{out: out}
	s.take()
	return s
}

func (s *Screen) take() {
	if !s.open {
		s.open = true
		_, _ = io.WriteString(s.out, enter)
	}
}

// Draw replaces what is shown by the lines, with one write. There must be no more lines than the terminal has.
func (s *Screen) Draw(lines []string) error {
	var b bytes.Buffer
	b.WriteString(begin)
	for i, l := range lines {
		if i > 0 {
			b.WriteString(next)
		}
		b.WriteString(l)
	}
	b.WriteString("\x1b[K" + end)
	_, err := s.out.Write(b.Bytes())
	return err
}

// Close gives the screen back: the cursor, wrapping and what stood there before. Closing twice is no error.
func (s *Screen) Close() {
	if s.open {
		s.open = false
		_, _ = io.WriteString(s.out, leave)
	}
}
