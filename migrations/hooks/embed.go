// Package hooks holds the migrations of the hooks service's schema.
package hooks

import "embed"

// FS is the migrations, in golang-migrate's naming.
//
//go:embed *.sql
var FS embed.FS
