package handler

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/slipway-deploy/slipway/drivers/hook/command"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// The variables that carry an attempt's identity to a command.
const (
	VariableInvocation = "SLIPWAY_INVOCATION_ID"
	VariableAttempt    = "SLIPWAY_ATTEMPT"
)

// callCommand runs a command. What it could not be allowed when it was registered may have changed since, and where links
// lead is known only now.
func (h *Caller) callCommand(ctx context.Context, c Call) Reply {
	if rule := h.commandRule(c.Target.Address); rule != "" {
		return c.unanswered(true, "the command %s", rule)
	}
	run := command.Command{
		Path: c.Target.Address, Args: c.Target.Args,
		Env: []string{VariableInvocation + "=" + c.Invocation, VariableAttempt + "=" + strconv.Itoa(c.Attempt)},
	}
	result, err := command.Run(ctx, run, []byte(c.Request), MaxAnswer+1)
	switch {
	case err != nil && ctx.Err() != nil:
		return c.failed(ctx, err, true)
	case err != nil:
		return c.unanswered(!errors.Is(err, command.ErrTransient), "%s", err)
	case result.Failure != "":
		reply := c.unanswered(true, "the command failed: %s", result.Failure)
		reply.Response = clean(string(result.Output))
		return reply
	default:
		return c.said(result.Output)
	}
}

// commandRule returns why a command may not be run, or "".
func (h *Caller) commandRule(path string) string {
	if rule := invocation.CommandRule(path, h.commands); rule != "" || slices.Contains(h.commands, path) {
		return rule
	}
	program, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "cannot be found: " + err.Error()
	}
	for _, entry := range h.commands {
		directory, err := filepath.EvalSymlinks(entry)
		if err == nil && strings.HasPrefix(program, strings.TrimSuffix(directory, "/")+"/") {
			return ""
		}
	}
	return "leads to " + strconv.Quote(program) + ", which the operator does not allow"
}
