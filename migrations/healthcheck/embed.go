// Package healthcheck holds the migrations of the healthcheck service's schema.
package healthcheck

import "embed"

// FS is the migrations, in golang-migrate's naming.
//
//go:embed *.sql
var FS embed.FS
