package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/alarmtest"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/fault"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	alarms "github.com/slipway-deploy/slipway/services/alarms/app"
)

func newAlarmsTest(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "test FILE...",
		Short: "Try alarms on samples of their metrics: what would they have said?",
		Long: `Run tests of alarms from files, without any service: alarms (as apply takes them), the samples of their metrics,
and the states that are expected at times. What differs is told, and the exit code is 1. docs/alarms.md shows files.`,
		Example: `  slipway alarms test alarms.test.yaml`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef(cmd, "FILE is missing")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return c.testAlarms(args) },
	}
}

func (c *cli) testAlarms(names []string) error {
	evaluator := alarmtest.Evaluator{Test: alarms.TestAlarm, Children: alarms.Children}
	var passed int
	differences := []alarmtest.Difference{}
	for _, name := range names {
		f, err := alarmtest.Read(name)
		if err != nil {
			return err
		}
		met, differ, err := f.Run(evaluator)
		if err != nil {
			return err
		}
		passed, differences = passed+met, append(differences, differ...)
	}
	if err := c.testedAlarms(passed, differences); err != nil {
		return err
	}
	if len(differences) > 0 {
		return &fault.Exit{Code: fault.Failed}
	}
	return nil
}

func (c *cli) testedAlarms(passed int, differences []alarmtest.Difference) error {
	if c.output != "table" {
		data, err := json.Marshal(map[string]any{"passed": passed, "failed": len(differences), "differences": differences})
		if err != nil {
			return err
		}
		return c.raw(data)
	}
	for _, d := range differences {
		if _, err := fmt.Fprintln(c.out, words.Clean(d.String())); err != nil {
			return err
		}
		if d.Because == "" {
			continue
		}
		if _, err := fmt.Fprintln(c.out, "    "+words.Clean(d.Because)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(c.out, "%d passed, %d failed\n", passed, len(differences))
	return err
}
