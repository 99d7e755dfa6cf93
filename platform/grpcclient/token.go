package grpcclient

import (
	"context"

	"google.golang.org/grpc/credentials"
)

// bearer sends the token with each call.
type bearer struct {
	token  string
	secure bool
}

var _ credentials.PerRPCCredentials = bearer{}

// GetRequestMetadata returns the authorization header.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

// RequireTransportSecurity keeps the token off a plain connection, unless the configuration chose one.
func (b bearer) RequireTransportSecurity() bool { return b.secure }
