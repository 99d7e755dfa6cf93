// Package client deploys with Slipway from Go: it connects to the services, begins deployments and follows them to
// their end, and serves lifecycle hooks.
//
//	c, err := client.Dial(client.Config{}) // what `slipway dev` runs on this machine
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	d, err := c.Deploy(ctx, client.DeployRequest{Service: "web", TaskDefinition: "web:2"})
//
// The error is nil only when the asked-for revision is live. A deployment that ended otherwise is a
// *DeploymentFailedError; a call that was refused is an *Error, whose kind errors.Is tells:
//
//	errors.Is(err, client.NotFound)
//
// The fields of Client are the generated clients of every service, for all that has no helper here; their errors are
// *Error too. ServeHooks makes a handler of lifecycle hooks out of a function.
//
// The package keeps to the public API: what it does, a program in another language can do with the contract in proto/.
package client
