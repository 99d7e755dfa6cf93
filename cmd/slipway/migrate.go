package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/slipway-deploy/slipway/migrations/alarms"
	"github.com/slipway-deploy/slipway/migrations/healthcheck"
	"github.com/slipway-deploy/slipway/migrations/hooks"
	"github.com/slipway-deploy/slipway/migrations/orchestrator"
	"github.com/slipway-deploy/slipway/platform/postgres"
)

func newMigrate(c *cli) *cobra.Command {
	var url string
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database to this version",
		Long: `migrate creates the schema of each service in a PostgreSQL database, or brings it to this version. A schema that a
newer version has changed is left as it is. Each service does so for its own schema when it starts; migrate does it before,
for all of them, and may run beside services of the version before.`,
		Example: `  DATABASE_URL=postgres://slipway@db:5432/slipway slipway migrate`,
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if url == "" {
				url = c.env("DATABASE_URL")
			}
			if url == "" {
				return errors.New("name the database with --database-url or DATABASE_URL, postgres://user:password@host:port/database")
			}
			for _, s := range []struct {
				schema string
				files  fs.FS
			}{
				{orchestratorName, orchestrator.FS}, {hooksName, hooks.FS}, {healthcheckName, healthcheck.FS}, {alarmsName, alarms.FS},
			} {
				if err := postgres.Migrate(cmd.Context(), url, s.schema, s.files); err != nil {
					return err
				}
				fmt.Fprintf(c.out, "schema %s is at this version\n", s.schema)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&url, "database-url", "", "PostgreSQL to keep the state in (DATABASE_URL)")
	return cmd
}
