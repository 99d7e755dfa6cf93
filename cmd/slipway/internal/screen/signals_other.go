//go:build !unix

package screen

import "os"

// Signals returns channels on which nothing ever comes: only Unix terminals signal.
func Signals() (resized, suspended <-chan os.Signal, stop func()) { return nil, nil, func() {} }

// Suspend does nothing: only Unix terminals suspend programs.
func (s *Screen) Suspend() {}
