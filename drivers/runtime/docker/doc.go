// Package docker runs tasks as containers of one or more Docker engines. The containers outlive the driver, and a driver that
// is started again on the same state folder finds them and goes on. It knows nothing of services' deployments or traffic.
//
// What is kept where makes a crash at any instruction harmless:
//
//   - services/<service>.json in the state folder: the fence and the ordered task sets, with the images that were resolved.
//     Writing it accepts an order.
//   - tasks/<task>.json: a task that was begun, on which engine, and how it ended. It is written before the first container is
//     made; a driver that finds it but no container counts the task as failed, for it may have run.
//   - labels of the containers: whose they are, and what a driver that lost its state folder must know to go on with them; the
//     fence is then at least the generation in the labels. A container's name follows from its task's, so the engine itself
//     refuses a second one. A container without the labels of this installation and this very task is never touched, whatever
//     its name.
//
// A container that no record explains is adopted or stopped by the order in force, or removed if nothing of its task ever ran.
//
// The containers of one task share a network, as in ECS's awsvpc mode: that of its first essential container, for it goes when
// that one exits. The engine gives addresses and free ports when it starts a container, so endpoints are known with RUNNING and
// stay: a container is never started twice.
//
// An engine that is away changes nothing: its tasks are shown as they were last, what was begun there waits for it, and new tasks
// go to the others. When it is back all its tasks are looked at. While no engine answers, Watch is Unavailable.
package docker
