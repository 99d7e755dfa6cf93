package client

import (
	"os"
	"strconv"
	"time"
)

// defaultPatience is how long a lost connection is tried again.
const defaultPatience = time.Minute

// Config says where the services are and how to speak to them. The zero Config is what `slipway dev` runs on this
// machine.
type Config struct {
	// The addresses of the services, host:port, or any name that a gRPC resolver knows. The defaults are 127.0.0.1 with
	// the ports 7001, 7002, 7003 and 7004. A service is connected to when it is called first.
	Orchestrator, Hooks, Healthcheck, Alarms string
	// CACert is a PEM file with the authorities to trust; it turns TLS on. Without it TLS is spoken to addresses that are
	// not on this machine, with the authorities of the system.
	CACert string
	// Token is sent with each call as "authorization: Bearer <token>".
	Token string
	// Insecure speaks without TLS, also to other machines. It excludes CACert.
	Insecure bool
	// Patience is for how long Deploy, Wait, Watch, RegisterTaskDefinition and ReportResult try to reach a service again
	// before they return the error. It begins anew with each answer. Default 1 min.
	Patience time.Duration
}

// FromEnv returns a Config from the environment variables of the command slipway: SLIPWAY_ORCHESTRATOR, SLIPWAY_HOOKS,
// SLIPWAY_HEALTHCHECK, SLIPWAY_ALARMS, SLIPWAY_TLS_CA, SLIPWAY_TOKEN and SLIPWAY_INSECURE. What is not set keeps its
// default. The error is an *Error of the kind InvalidArgument.
func FromEnv() (Config, error) {
	cfg := Config{CACert: os.Getenv("SLIPWAY_TLS_CA"), Token: os.Getenv("SLIPWAY_TOKEN")}
	for _, e := range cfg.endpoints() {
		*e.address = os.Getenv(e.variable)
	}
	if text := os.Getenv("SLIPWAY_INSECURE"); text != "" {
		insecure, err := strconv.ParseBool(text)
		if err != nil {
			return Config{}, invalid(Violation{"SLIPWAY_INSECURE", "must be true or false, not " + strconv.Quote(text)})
		}
		cfg.Insecure = insecure
	}
	return cfg, nil
}

// endpoint is a service and where it is.
type endpoint struct {
	name, variable, byDefault string
	address                   *string
}

// endpoints lists the services, with pointers into c.
func (c *Config) endpoints() [4]endpoint {
	return [4]endpoint{
		{"orchestrator", "SLIPWAY_ORCHESTRATOR", "127.0.0.1:7001", &c.Orchestrator},
		{"hooks", "SLIPWAY_HOOKS", "127.0.0.1:7002", &c.Hooks},
		{"healthcheck", "SLIPWAY_HEALTHCHECK", "127.0.0.1:7003", &c.Healthcheck},
		{"alarms", "SLIPWAY_ALARMS", "127.0.0.1:7004", &c.Alarms},
	}
}

func (c Config) withDefaults() Config {
	for _, e := range c.endpoints() {
		if *e.address == "" {
			*e.address = e.byDefault
		}
	}
	if c.Patience == 0 {
		c.Patience = defaultPatience
	}
	return c
}

// validate reports every broken rule at once.
func (c Config) validate() error {
	var broken []Violation
	if c.Insecure && c.CACert != "" {
		broken = append(broken, Violation{"Insecure", "and CACert exclude each other"})
	}
	if c.Patience < 0 {
		broken = append(broken, Violation{"Patience", "must not be negative"})
	}
	if len(broken) > 0 {
		return invalid(broken...)
	}
	return nil
}
