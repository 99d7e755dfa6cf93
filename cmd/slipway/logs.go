package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func newLogs(c *cli) *cobra.Command {
	var l logReader
	cmd := &cobra.Command{
		Use:   "logs TASK|SERVICE",
		Short: "Show what a task, or each task of a service, printed",
		Long: `Show what a task printed, as it was printed. For a service: of each task that has not stopped (of all when
none is left), each line after the task's name; with -f also of tasks that start later.`,
		Example: `  slipway logs web-1-2 --tail 100
  slipway logs web -f`,
		Args: exactly("TASK|SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if l.tail < 0 {
				return usagef(cmd, "--tail must not be negative")
			}
			a, err := c.connect()
			if err != nil {
				return err
			}
			l.cli, l.api = c, a
			return l.read(cmd.Context(), args[0])
		},
	}
	cmd.Flags().BoolVarP(&l.follow, "follow", "f", false, "go on as the tasks print")
	cmd.Flags().Int32Var(&l.tail, "tail", 0, "how many of the last lines to begin with; 0 for all that is kept")
	return cmd
}

// logReader reads what tasks print.
type logReader struct {
	cli    *cli
	api    *api
	follow bool
	tail   int32
}

func (l *logReader) read(ctx context.Context, name string) error {
	callCtx, cancel := l.cli.call(ctx)
	defer cancel()
	_, err := l.cli.service(callCtx, l.api, name)
	switch {
	case err == nil && l.follow:
		return l.followService(ctx, name)
	case err == nil:
		return l.readService(ctx, name)
	case !errors.Is(err, problem.NotFound) && !errors.Is(err, problem.InvalidArgument):
		return err
	}
	err = l.task(ctx, name, l.cli.out)
	if errors.Is(err, problem.NotFound) {
		return problem.New(problem.NotFound, "TASK_NOT_FOUND", "there is no task %s, and no service of that name in cluster %s", name, l.cli.cluster)
	}
	return err
}

// task copies what one task printed.
func (l *logReader) task(ctx context.Context, name string, out io.Writer) error {
	if !l.follow {
		var cancel context.CancelFunc
		ctx, cancel = l.cli.call(ctx)
		defer cancel()
	}
	stream, err := l.api.tasks.GetLogs(ctx, &orchestratorpb.GetLogsRequest{Task: name, TailLines: l.tail, Follow: l.follow})
	if err != nil {
		return err
	}
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if l.cli.output != "table" {
			err = l.cli.item(r)
		} else {
			_, err = out.Write(r.GetData())
		}
		if err != nil {
			return err
		}
	}
}

// readService copies what each task of a service printed, one after the other.
func (l *logReader) readService(ctx context.Context, service string) error {
	callCtx, cancel := l.cli.call(ctx)
	defer cancel()
	tasks, err := l.cli.tasks(callCtx, l.api, service)
	if err != nil {
		return err
	}
	for _, name := range worthReading(tasks) {
		w := &prefixWriter{out: l.cli.out, prefix: name}
		err := l.task(ctx, name, w)
		if closed := w.Close(); err == nil {
			err = closed
		}
		if err != nil && !errors.Is(err, problem.NotFound) { // it was forgotten meanwhile
			return err
		}
	}
	return nil
}

// worthReading names the tasks that have not stopped, or all when none is left.
func worthReading(tasks []*orchestratorpb.Task) []string {
	var going, all []string
	for _, t := range tasks {
		all = append(all, t.GetName())
		if t.GetState() != orchestratorpb.Task_STATE_STOPPED {
			going = append(going, t.GetName())
		}
	}
	if len(going) == 0 {
		return all
	}
	return going
}

// prefixWriter writes whole lines, each after a prefix.
type prefixWriter struct {
	out    io.Writer
	prefix string
	rest   strings.Builder
}

// Write takes any piece of text.
func (w *prefixWriter) Write(p []byte) (int, error) {
	text := string(p)
	for {
		line, after, found := strings.Cut(text, "\n")
		w.rest.WriteString(line)
		if !found {
			return len(p), nil
		}
		if err := w.line(); err != nil {
			return 0, err
		}
		text = after
	}
}

// line writes what has come of a line.
func (w *prefixWriter) line() error {
	_, err := io.WriteString(w.out, w.prefix+" | "+w.rest.String()+"\n")
	w.rest.Reset()
	return err
}

// Close writes a last line that did not end.
func (w *prefixWriter) Close() error {
	if w.rest.Len() == 0 {
		return nil
	}
	return w.line()
}
