package problem_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/slipway-deploy/slipway/platform/problem"
)

func TestAnErrorIsItsKindAndNoOther(t *testing.T) {
	for _, kind := range problem.Kinds() {
		err := fmt.Errorf("load task: %w", problem.New(kind, "R", "m"))
		for _, other := range problem.Kinds() {
			if got := errors.Is(err, other); got != (kind == other) {
				t.Errorf("errors.Is(%v, %v) = %v", kind, other, got)
			}
		}
		if got := problem.KindOf(err); got != kind {
			t.Errorf("KindOf = %v, want %v", got, kind)
		}
		if kind.Error() == "unknown kind" {
			t.Errorf("kind %d has no words", kind)
		}
	}
}

func TestKindOfOtherErrors(t *testing.T) {
	if got := problem.KindOf(nil); got != 0 {
		t.Errorf("KindOf(nil) = %v", got)
	}
	if got := problem.KindOf(io.EOF); got != problem.Internal {
		t.Errorf("KindOf(EOF) = %v, want internal", got)
	}
	if got := problem.KindOf(fmt.Errorf("x: %w", problem.NotFound)); got != problem.NotFound {
		t.Errorf("KindOf of a bare kind = %v, want not found", got)
	}
	if problem.As(io.EOF) != nil || problem.ReasonOf(io.EOF) != "" {
		t.Error("EOF has a problem in it")
	}
}

func TestTheCauseIsKeptBehindTheMessage(t *testing.T) {
	err := problem.New(problem.Unavailable, "DATABASE_UNAVAILABLE", "no database on %s", "db1").Wrap(io.ErrUnexpectedEOF)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, problem.Unavailable) {
		t.Error("cause or kind is lost")
	}
	if err.Message != "no database on db1" || err.Error() != "no database on db1: unexpected EOF" {
		t.Errorf("message %q, text %q", err.Message, err.Error())
	}
	if problem.ReasonOf(fmt.Errorf("a: %w", err)) != "DATABASE_UNAVAILABLE" {
		t.Error("reason is lost")
	}
}

func TestWithAndWrapLeaveTheOriginalAlone(t *testing.T) {
	base := problem.New(problem.NotFound, "TASK_NOT_FOUND", "no task").With("task", "a")
	more := base.With("cluster", "c").Wrap(io.EOF)
	if len(base.Metadata) != 1 || base.Cause != nil {
		t.Errorf("the original changed: %+v", base)
	}
	if more.Metadata["task"] != "a" || more.Metadata["cluster"] != "c" {
		t.Errorf("metadata is %v", more.Metadata)
	}
}

func TestViolationsAreCountedInTheMessage(t *testing.T) {
	one := problem.Invalid("weight", "must be at most %d", 1000)
	if one.Message != "weight: must be at most 1000" || one.Reason != problem.InvalidField || one.Kind != problem.InvalidArgument {
		t.Errorf("one violation: %+v", one)
	}
	three := problem.Violated(problem.Violation{Field: "a", Rule: "r"}, problem.Violation{Field: "b"}, problem.Violation{Field: "c"})
	if three.Message != "a: r (and 2 more)" || len(three.Violations) != 3 {
		t.Errorf("three violations: %+v", three)
	}
	if whole := problem.Violated(problem.Violation{Rule: "a and b exclude each other"}); strings.HasPrefix(whole.Message, ":") {
		t.Errorf("a rule without a field: %q", whole.Message)
	}
}
