package grpcapi

import (
	"context"
	"fmt"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/appspec"
)

// maxHookPages bounds how many hooks are looked through, 100 on a page.
const maxHookPages = 100

// hooksOf is the hooks of a file as a deployment has them. A file names a function; that is the hook registered by that name, or
// else the one that calls a Lambda function of that name.
func (a *appSpecs) hooksOf(ctx context.Context, spec *appspec.AppSpec) ([]*orchestratorpb.LifecycleHook, error) {
	if len(spec.Hooks) == 0 {
		return nil, nil
	}
	registered, err := a.registered(ctx)
	if err != nil {
		return nil, err
	}
	var hooks []*orchestratorpb.LifecycleHook
	var unknown []problem.Violation
	for _, h := range spec.Hooks {
		name, known := registered[appspec.FunctionName(h.Name)]
		if !known {
			unknown = append(unknown, problem.Violation{
				Field: contentField + "." + h.Path, Rule: fmt.Sprintf("there is no hook %q and none that calls such a function", appspec.FunctionName(h.Name)),
			})
		}
		hooks = append(hooks, &orchestratorpb.LifecycleHook{
			Hook: name, ReportBack: true, LifecycleStages: []orchestratorpb.LifecycleStage{stageOfEvent(h.Event)},
			FirstStepOnly: h.Event == appspec.BeforeAllowTraffic,
		})
	}
	if len(unknown) > 0 {
		return nil, problem.Violated(unknown...)
	}
	return hooks, nil
}

// registered is the names of hooks by what a file may call them.
func (a *appSpecs) registered(ctx context.Context) (map[string]string, error) {
	names, functions := map[string]string{}, map[string]string{}
	req := &hookspb.ListHooksRequest{PageSize: 100}
	for range maxHookPages {
		page, err := a.s.Hooks.ListHooks(ctx, req)
		if err != nil {
			return nil, err
		}
		for _, h := range page.GetHooks() {
			names[h.GetName()] = h.GetName()
			if f := appspec.FunctionName(h.GetLambda().GetFunction()); f != "" && functions[f] == "" {
				functions[f] = h.GetName()
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	for function, name := range functions {
		if names[function] == "" {
			names[function] = name
		}
	}
	return names, nil
}

// stageOfEvent is the stage at which a lifecycle event of CodeDeploy happens.
func stageOfEvent(event string) orchestratorpb.LifecycleStage {
	return map[string]orchestratorpb.LifecycleStage{
		appspec.BeforeInstall:         orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRE_SCALE_UP,
		appspec.AfterInstall:          orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_POST_SCALE_UP,
		appspec.AfterAllowTestTraffic: orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_POST_TEST_TRAFFIC_SHIFT,
		appspec.BeforeAllowTraffic:    orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRE_PRODUCTION_TRAFFIC_SHIFT,
		appspec.AfterAllowTraffic:     orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_POST_PRODUCTION_TRAFFIC_SHIFT,
	}[event]
}
