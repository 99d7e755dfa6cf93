package client

// ServeHooksFor is ServeHooks with another time for calls under way at the end.
var ServeHooksFor = serveHooks
