// Package idleconn tells whether a connection that was kept for the next request can still carry one.
package idleconn
