package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// config is the environment, read.
type config struct {
	host, port, version, task string
	failRate                  float64
	latency, startDelay       time.Duration
	healthStatus              int
	exits                     bool
	exitAfter                 time.Duration
}

// configFrom reads the environment and reports everything that is wrong with it.
func configFrom(lookup func(string) (string, bool)) (config, error) {
	var problems []error
	text := func(name, otherwise string) string {
		if value, ok := lookup(name); ok && value != "" {
			return value
		}
		return otherwise
	}
	duration := func(name string) time.Duration {
		d, err := time.ParseDuration(text(name, "0s"))
		if err != nil || d < 0 {
			problems = append(problems, fmt.Errorf("%s must be a duration such as 1.5s", name))
		}
		return d
	}
	cfg := config{
		host: text("HOST", "127.0.0.1"), port: text("PORT", "8080"), version: text("VERSION", "v1"), task: text("SLIPWAY_TASK", ""),
		latency: duration("LATENCY"), startDelay: duration("START_DELAY"), exitAfter: duration("EXIT_AFTER"),
		exits: text("EXIT_AFTER", "") != "",
	}
	var err error
	if cfg.failRate, err = strconv.ParseFloat(text("FAIL_RATE", "0"), 64); err != nil || !(cfg.failRate >= 0 && cfg.failRate <= 1) {
		problems = append(problems, errors.New("FAIL_RATE must be a number from 0 to 1"))
	}
	if cfg.healthStatus, err = strconv.Atoi(text("HEALTH_STATUS", "200")); err != nil || cfg.healthStatus < 200 || cfg.healthStatus > 599 {
		problems = append(problems, errors.New("HEALTH_STATUS must be a status from 200 to 599"))
	}
	return cfg, errors.Join(problems...)
}
