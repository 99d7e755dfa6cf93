//go:build unix

package screen

import (
	"os"
	"os/signal"
	"syscall"
)

// Signals returns what a terminal tells its program: that its size changed, and that Ctrl-Z was pressed. Call stop in
// the end.
func Signals() (resized, suspended <-chan os.Signal, stop func()) {
	size, pause := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(size, syscall.SIGWINCH)
	signal.Notify(pause, syscall.SIGTSTP)
	return size, pause, func() { signal.Stop(size); signal.Stop(pause) }
}

// Suspend gives the screen back, stops the process until it is continued, and takes the screen again.
func (s *Screen) Suspend() {
	resumed := make(chan os.Signal, 1)
	signal.Notify(resumed, syscall.SIGCONT)
	defer signal.Stop(resumed)
	s.Close()
	// The stop comes some time after the call: without the wait the screen would be taken before it.
	if err := syscall.Kill(os.Getpid(), syscall.SIGSTOP); err == nil {
		<-resumed
	}
	s.take()
}
