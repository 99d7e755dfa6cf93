// Package rollout decides everything about a service and its deployments, and does nothing.
//
// The caller owns time and I/O and repeats four steps:
//
//	observe   gather an Observation: tasks, target health, routes in force, hook results, alarm states
//	decide    Decide(state, observation, now)
//	persist   Decision.Next and Decision.Events in one transaction, compare-and-swap on Service.Generation
//	converge  the world towards Decision.Desired, idempotently
//
// Decide is a function: the same state, observation and time give the same decision. It reads no clock, draws no
// random number and makes no id. Desired is a function of Next alone, so a crash between persist and converge is
// healed by deciding again. WakeAt is the next moment at which time alone changes the answer.
//
// The commands of users (CreateService, UpdateService, Deploy, Stop, Continue, Delete) are functions of the same kind.
//
// The package imports the standard library only, and of that nothing that reads the world.
package rollout
