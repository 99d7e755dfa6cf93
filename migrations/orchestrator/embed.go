// Package orchestrator holds the migrations of the orchestrator's schema.
package orchestrator

import "embed"

// FS is the migrations, in golang-migrate's naming.
//
//go:embed *.sql
var FS embed.FS
