package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/cmd/slipway/internal/manifest"
	"github.com/slipway-deploy/slipway/cmd/slipway/internal/words"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// deployFlags is what deploy was asked for.
type deployFlags struct {
	strategyFlags
	taskDefinition string
	file           string
	appSpec        string
	supersede      bool
	detach         bool
	requestID      string
}

func newDeploy(c *cli) *cobra.Command {
	var f deployFlags
	cmd := &cobra.Command{
		Use:   "deploy SERVICE",
		Short: "Deploy a task definition and follow it until it is live or rolled back",
		Long: `Deploy a task definition to a service and follow the deployment until it has ended.

The exit code is 0 only if the new revision is live, 1 if the deployment failed, was rolled back or
stopped, and 124 if --timeout was reached while it goes on. Ctrl-C leaves; the deployment goes on.`,
		Example: `  slipway deploy web --task-definition web:2
  slipway deploy web -f web-v2.yaml --steps 10:30s,50:30s,100
  slipway deploy web --config CodeDeployDefault.ECSCanary10Percent5Minutes --detach
  slipway deploy web --appspec appspec.yaml --config CodeDeployDefault.ECSLinear10PercentEvery1Minutes`,
		Args: exactly("SERVICE"),
		RunE: func(cmd *cobra.Command, args []string) error { return c.deploy(cmd, f, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.taskDefinition, "task-definition", "", `"family:revision", or "family" for its latest; the service's by default`)
	flags.StringVarP(&f.file, "file", "f", "", "file with a task definition to register and deploy; - for stdin")
	flags.StringVar(&f.appSpec, "appspec", "", "CodeDeploy's AppSpec file, YAML or JSON, that names task definition and hooks; - for stdin")
	f.add(cmd)
	flags.BoolVar(&f.supersede, "supersede", false, "stop the deployment at work and put this one in its place")
	flags.BoolVar(&f.detach, "detach", false, "do not follow it")
	flags.StringVar(&f.requestID, "request-id", "", "same id, same deployment: send it again after a lost answer")
	return cmd
}

func (c *cli) deploy(cmd *cobra.Command, f deployFlags, service string) error {
	if f.taskDefinition != "" && f.file != "" {
		return usagef(cmd, "--task-definition and --file exclude each other")
	}
	if f.appSpec != "" && (f.taskDefinition != "" || f.file != "" || f.strategy != "" || f.steps != "") {
		return usagef(cmd, "--appspec names the task definition and goes with --config alone, not with --task-definition, --file, --strategy or --steps")
	}
	if _, err := f.apply(cmd, nil); err != nil { // before anything is called
		return err
	}
	a, err := c.connect()
	if err != nil {
		return err
	}
	create := c.createDeployment
	if f.appSpec != "" {
		create = c.createAppSpecDeployment
	}
	d, err := create(cmd, a, f, service)
	if err != nil {
		return err
	}
	if f.detach {
		return c.show(&orchestratorpb.CreateDeploymentResponse{Deployment: d}, func() error {
			_, err := fmt.Fprintf(c.out, "%s\nfollow it with: slipway watch %s\n", begun(d), d.GetId())
			return err
		})
	}
	return c.follow(cmd.Context(), a, d, following{succeeded: isLive})
}

// createDeployment registers the task definition of --file, if there is one, and begins the deployment.
func (c *cli) createDeployment(cmd *cobra.Command, a *api, f deployFlags, service string) (*orchestratorpb.Deployment, error) {
	ctx, cancel := c.call(cmd.Context())
	defer cancel()
	if f.requestID == "" {
		f.requestID = requestID()
	}
	var have *orchestratorpb.DeploymentConfiguration
	if f.strategy != "" || f.config != "" || f.steps != "" {
		s, err := c.service(ctx, a, service)
		if err != nil {
			return nil, err
		}
		have = s.GetDeploymentConfiguration()
	}
	config, err := f.apply(cmd, have)
	if err != nil {
		return nil, err
	}
	if have.GetDeploymentCircuitBreaker().GetEnable() && config.GetDeploymentCircuitBreaker() == nil {
		fmt.Fprintf(c.err, "note: the service's circuit breaker goes with ROLLING only and is left out\n")
	}
	if f.file != "" {
		if f.taskDefinition, err = c.registerFile(ctx, a, f.file, f.requestID); err != nil {
			return nil, err
		}
	}
	r, err := a.deployments.CreateDeployment(ctx, &orchestratorpb.CreateDeploymentRequest{
		RequestId: f.requestID, Cluster: c.cluster, Service: service, TaskDefinition: f.taskDefinition,
		DeploymentConfiguration: config, Supersede: f.supersede,
	})
	return r.GetDeployment(), err
}

// registerFile registers the one task definition of a file and returns its "family:revision".
func (c *cli) registerFile(ctx context.Context, a *api, file, requestID string) (string, error) {
	docs, err := manifest.Read([]string{file}, c.in)
	if err != nil {
		return "", err
	}
	for _, doc := range docs {
		if doc.Kind != manifest.TaskDefinition || len(docs) > 1 {
			const rule = `deploy -f takes a file with one taskDefinition and nothing else; for all else there is "slipway apply -f"`
			return "", manifest.Mistakes{{At: doc.At, Text: rule}}
		}
	}
	request := docs[0].Request.(*orchestratorpb.RegisterTaskDefinitionRequest)
	if request.GetRequestId() == "" {
		request.RequestId = requestID
	}
	r, err := a.taskDefinitions.RegisterTaskDefinition(ctx, request)
	if err != nil {
		return "", placed(docs[0], err)
	}
	return definitionName(r.GetTaskDefinition()), nil
}

func definitionName(d *orchestratorpb.TaskDefinition) string {
	return fmt.Sprintf("%s:%d", d.GetFamily(), d.GetRevision())
}

// begun is the first line about a deployment.
func begun(d *orchestratorpb.Deployment) string {
	return fmt.Sprintf("deployment %s of %s: %s, %s", words.Clean(d.GetId()), words.Clean(d.GetService()),
		words.Definitions(d, "->"), words.Strategy(d.GetDeploymentConfiguration()))
}

// isLive reports whether the asked-for revision is live.
func isLive(d *orchestratorpb.Deployment) bool {
	return d.GetState() == orchestratorpb.Deployment_STATE_SUCCESSFUL
}

// requestID is a new id for a request, so that a retry of a lost answer does nothing twice.
func requestID() string { return "cli-" + strings.ToLower(rand.Text()) }
