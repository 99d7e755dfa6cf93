package app

import (
	"fmt"
	"net/url"
	"path"
	"time"

	"github.com/slipway-deploy/slipway/drivers/hook/lambda"
	"github.com/slipway-deploy/slipway/services/hooks/internal/event"
	"github.com/slipway-deploy/slipway/services/hooks/internal/handler"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// TargetsConfig says what hooks may call, and how.
type TargetsConfig struct {
	AllowedCommands []string `flag:"allowed-commands" env:"SLIPWAY_ALLOWED_COMMANDS" help:"programs that exec hooks may run: absolute paths of programs, or of directories for all below; empty allows none"`
	LambdaRegion    string   `flag:"lambda-region" env:"SLIPWAY_LAMBDA_REGION" help:"AWS region of Lambda functions; empty for that of the AWS environment"`
	LambdaEndpoint  string   `flag:"lambda-endpoint" env:"SLIPWAY_LAMBDA_ENDPOINT" help:"URL to call Lambda functions at, e.g. of a local emulator; empty for AWS's"`
	ARNs            bool     `flag:"hook-arns" env:"SLIPWAY_HOOK_ARNS" help:"name resources to handlers with ARNs as events do, not as cluster/service"`
}

// broken returns every rule that is broken.
func (c TargetsConfig) broken() []error {
	var errs []error
	for _, entry := range c.AllowedCommands {
		if !path.IsAbs(entry) || path.Clean(entry) != entry {
			errs = append(errs, fmt.Errorf("allowed-commands: must be absolute paths without . and .., one is %q", entry))
		}
	}
	if c.LambdaEndpoint != "" {
		u, err := url.Parse(c.LambdaEndpoint)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			errs = append(errs, fmt.Errorf("lambda-endpoint: must be a URL with http:// or https://, is %q", c.LambdaEndpoint))
		}
	}
	return errs
}

func (c Config) rules() invocation.Rules {
	return invocation.Rules{AllowHTTP: c.AllowHTTP, Commands: c.Targets.AllowedCommands}
}

// handlers is how handlers are called, but for the authorities that are trusted.
func (c Config) handlers() handler.Config {
	h := handler.Config{
		AllowHTTP: c.AllowHTTP, Commands: c.Targets.AllowedCommands, Now: time.Now,
		Lambda: lambda.Config{Region: c.Targets.LambdaRegion, Endpoint: c.Targets.LambdaEndpoint},
	}
	if c.Targets.ARNs {
		h.Names.ARNs = &event.Place{Account: c.Events.Account, Region: c.Events.Region}
	}
	return h
}
