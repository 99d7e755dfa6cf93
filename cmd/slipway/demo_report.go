package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/slipway-deploy/slipway/internal/stories"
)

// verdict prints the table and returns an error unless every story ended as it must.
func verdict(c *cli, results []stories.Result, look string) error {
	summary(c.out, results)
	for _, r := range results {
		if r.Err != nil {
			return errors.New("not every story ended as it must; " + look)
		}
	}
	return nil
}

// timeline is one line of what happens.
func timeline(l stories.Line, color bool) string {
	mark := map[string]string{"WARN": "!", "ERROR": "x", "": ">"}[l.Kind]
	line := fmt.Sprintf("%8.3fs %1s %s", l.Offset.Seconds(), mark, l.Text)
	codes := map[string]string{"WARN": "33", "ERROR": "31", "": "36"}
	if code := codes[l.Kind]; color && code != "" {
		line = "\x1b[" + code + "m" + line + "\x1b[0m"
	}
	return line
}

// summary is the table at the end.
func summary(out io.Writer, results []stories.Result) {
	fmt.Fprintf(out, "\n%-16s %-20s %9s %15s %10s %6s  %s\n", "STORY", "OUTCOME", "SECONDS", "FAILURE->SAFE s", "REQUESTS", "LOST", "SECONDS TO EACH STAGE")
	for _, r := range results {
		outcome, safe := r.Outcome, "-"
		if r.Err != nil {
			outcome = "NOT AS IT MUST"
		}
		if r.FailureToSafe > 0 {
			safe = fmt.Sprintf("%.3f", r.FailureToSafe.Seconds())
		}
		var stages []string
		for _, st := range r.Stages {
			stages = append(stages, fmt.Sprintf("%s %.2f", strings.ToLower(st.Stage), st.Offset.Seconds()))
		}
		fmt.Fprintf(out, "%-16s %-20s %9.2f %15s %10d %6d  %s\n", r.Story, outcome, r.Duration.Seconds(), safe, r.Requests, r.Lost, strings.Join(stages, ", "))
		if r.Err != nil {
			fmt.Fprintf(out, "%-16s %v\n", "", r.Err)
		}
	}
}
