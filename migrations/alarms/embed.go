// Package alarms holds the migrations of the alarms service's schema.
package alarms

import "embed"

// FS is the migrations, in golang-migrate's naming.
//
//go:embed *.sql
var FS embed.FS
