// Package invocation decides what becomes of one hook invocation, and does nothing.
//
// The caller owns time and I/O and repeats three steps:
//
//	decide    Decide(invocation, event, now)
//	persist   Decision.Next, the attempt it opens or closes, or the answer it ignores, in one transaction
//	call      the handler, when Decision.Call says so and the transaction is committed
//
// Persisting before calling gives an attempt one identity: after a crash in mid-call the attempt is still open, Due
// asks for the same one again, and its number grows only once it has been answered or given up.
//
// All times are absolute: the deadline is set at creation and never moves, so neither a restart nor a call-back delay
// lengthens an invocation. WakeAt is the next moment at which time alone changes the answer.
//
// The package imports the standard library only, and of that nothing that reads the world: no clock, no randomness
// (the jitter of a back-off is computed from the attempt's identity), no network.
package invocation
