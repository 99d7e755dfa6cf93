// Package simulation runs the real engine and the real core of the orchestrator on a virtual clock against a world that
// misbehaves on purpose: processes that crash or stop for a while at any call, calls and observations that are lost, late or
// doubled, a slow and failing database, several replicas at once, tasks that fail in every way, hooks and alarms at their
// worst, and users who act at the worst moment. It records what happens and checks the safety invariants at every save and at
// every write to the outside.
//
// Run is called inside a bubble of testing/synctest. All that is drawn comes from a hash of the seed, an actor and the
// actor's count of draws, so that it does not depend on the order in which goroutines run.
//
// The package is for tests: it is outside internal so that a test can put it together with the cores of the other services,
// which it sees behind the interfaces of Cores.
package simulation
