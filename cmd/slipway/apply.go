package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/fault"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/manifest"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func newApply(c *cli) *cobra.Command {
	var files []string
	var supersede bool
	cmd := &cobra.Command{
		Use:   "apply -f FILE|DIR|-",
		Short: "Create or change what files describe",
		Long: `Create or change what files describe: clusters, target groups, alarms, hooks, deployment configurations, task
definitions and services, in this order. A document is the body of the request that makes one, in YAML or
JSON: what grpcurl takes, a file takes. Enum values may be written without their prefix, durations as "5m".

What is as described already stays as it is: a task definition gets a new revision only if it differs from
its latest, and a service that exists is updated in the fields that its document has. An update that
changes the task definition begins a deployment; "slipway watch SERVICE" follows it.`,
		Example: `  slipway apply -f web.yaml
  slipway apply -f deploy/ --supersede
  generate | slipway apply -f -`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return usagef(cmd, "-f is missing: the file, folder or - to read")
			}
			return c.apply(cmd, files, supersede)
		},
	}
	cmd.Flags().StringArrayVarP(&files, "file", "f", nil, "file, folder or - for stdin; may be given more than once")
	cmd.Flags().BoolVar(&supersede, "supersede", false, "where a service has a deployment at work, put the new one in its place")
	return cmd
}

func (c *cli) apply(cmd *cobra.Command, files []string, supersede bool) error {
	docs, err := manifest.Read(files, c.in)
	if err != nil {
		return err
	}
	a, err := c.connect()
	if err != nil {
		return err
	}
	ap := applier{cli: c, api: a, supersede: supersede}
	for i, doc := range docs {
		if err := ap.one(cmd.Context(), doc); err != nil {
			if left := len(docs) - i; left > 1 {
				fmt.Fprintf(c.err, "%d of %d documents were not applied\n", left, len(docs))
			}
			return err
		}
	}
	return nil
}

// applier applies documents one after the other.
type applier struct {
	cli       *cli
	api       *api
	supersede bool
}

// applied is what became of a document.
type applied struct {
	answer proto.Message
	what   string // created, changed, unchanged
	note   string // more, may be empty
}

func (ap *applier) one(ctx context.Context, doc manifest.Document) error {
	ctx, cancel := ap.cli.call(ctx)
	defer cancel()
	done, err := ap.send(ctx, doc)
	if err != nil {
		return placed(doc, err)
	}
	return ap.cli.show(done.answer, func() error {
		_, err := fmt.Fprintf(ap.cli.out, "%s %s %s%s\n", doc.Kind, words.Clean(doc.Name), done.what, done.note)
		return err
	})
}

func (ap *applier) send(ctx context.Context, doc manifest.Document) (applied, error) {
	switch doc.Kind {
	case manifest.Cluster:
		return ap.cluster(ctx, doc)
	case manifest.TargetGroup:
		return ap.targetGroup(ctx, doc)
	case manifest.Alarm:
		return ap.alarm(ctx, doc)
	case manifest.CompositeAlarm:
		return ap.compositeAlarm(ctx, doc)
	case manifest.Hook:
		return ap.hook(ctx, doc)
	case manifest.DeploymentConfig:
		return ap.deploymentConfig(ctx, doc)
	case manifest.TaskDefinition:
		return ap.taskDefinition(ctx, doc)
	case manifest.Service:
		return ap.service(ctx, doc)
	}
	return applied{}, fmt.Errorf("cannot apply a %s", doc.Kind)
}

// placed puts the place in the file into what a service says of a document: of each broken field its own.
func placed(doc manifest.Document, err error) error {
	p := problem.As(err)
	switch {
	case p == nil || fault.Code(err) != fault.Refused:
		return err
	case len(p.Violations) > 0:
		var mistakes manifest.Mistakes
		for _, v := range p.Violations {
			mistakes = append(mistakes, manifest.Mistake{At: doc.Find(v.Field), Text: words.Clean(v.Field) + ": " + words.Clean(v.Rule)})
		}
		return mistakes
	}
	told := *p
	told.Message = fmt.Sprintf("%s: %s %s: %s", doc.At, doc.Kind, doc.Name, words.Sentence(p.Message))
	return &told
}
