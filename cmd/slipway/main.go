// Command slipway is the command line of Slipway. Each command is a file of its own, and calls the services through
// their contract as any other client does.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	os.Exit(run(ctx, system(), os.Args[1:]))
}

// commands lists the commands.
func commands(c *cli) []*cobra.Command {
	return append([]*cobra.Command{
		newDev(c),
		newDemo(c),
		newMigrate(c),
		newApply(c),
		newPlan(c),
		newDeploy(c),
		newWatch(c),
		newStatus(c),
		newWhy(c),
		newServices(c),
		newTasks(c),
		newLogs(c),
		newHistory(c),
		newEvents(c),
		newContinue(c),
		newStop(c),
		newRollback(c),
		newAlarms(c),
		newHooks(c),
		newSubscriptions(c),
		newVersion(c),
	}, extra(c)...)
}
