package screen

import (
	"strings"
	"testing"
)

// writes records what was written, write by write.
type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

func TestEachPictureIsOneSynchronisedWrite(t *testing.T) {
	t.Parallel()
	var w writes
	s := Open(&w)
	if err := s.Draw([]string{"one", "two"}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.Close()
	want := writes{
		"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J",
		"\x1b[?2026h\x1b[Hone\x1b[K\r\ntwo\x1b[K\x1b[J\x1b[H\x1b[?2026l",
		"\x1b[?7h\x1b[?25h\x1b[?1049l",
	}
	if strings.Join(w, "|") != strings.Join(want, "|") {
		t.Errorf("got %q\nwant %q", w, want)
	}
}

func TestAllThatIsTurnedOnIsTurnedOff(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"?1049", "?25", "?7"} {
		on, off := "h", "l"
		if strings.Contains(enter, mode+"l") {
			on, off = off, on
		}
		if !strings.Contains(enter, mode+on) || !strings.Contains(leave, mode+off) {
			t.Errorf("mode %s is not given back", mode)
		}
	}
}
