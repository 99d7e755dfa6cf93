package grpcapi

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

type mutation interface {
	proto.Message
	GetRequestId() string
}

// command takes a user's command: it locks the service, lets the core decide, saves, and remembers the answer by the
// request's id, all in one transaction. Then the engine is told.
func command[T proto.Message](ctx context.Context, s *Server, method string, req mutation, key store.Key,
	decide func(tx pgx.Tx, a *store.Aggregate) (rollout.Decision, error), answer func(store.Aggregate, rollout.Decision) T,
) (T, error) {
	var resp T
	var wake func()
	err := s.Store.InTx(ctx, func(tx pgx.Tx) error {
		var err error
		resp, err = once.Do(ctx, tx, method, req.GetRequestId(), req, func() (T, error) {
			var none T
			a, err := s.Store.ServiceLock(ctx, tx, key.Cluster, key.Name)
			if err != nil {
				return none, err
			}
			cmd, err := decide(tx, &a)
			if err != nil {
				return none, problemOf(err)
			}
			if wake, err = s.save(ctx, tx, key, cmd); err != nil {
				return none, err
			}
			a.State = cmd.Next
			return answer(a, cmd), nil
		})
		return err
	})
	if err == nil && wake != nil {
		wake()
	}
	return resp, err
}

// save writes what a command decided and returns what to do once that is committed.
func (s *Server) save(ctx context.Context, tx pgx.Tx, key store.Key, cmd rollout.Decision) (func(), error) {
	if !cmd.Changed {
		return nil, nil
	}
	saved, err := s.Store.SaveTx(ctx, tx, []store.Change{{Next: cmd.Next, Events: cmd.Events, Ended: cmd.Ended}})
	if err != nil {
		return nil, fmt.Errorf("save: %w", err)
	}
	if !saved[key] {
		return nil, problem.New(problem.Aborted, "CONFLICT", "service %s/%s was changed at the same time; try again", key.Cluster, key.Name)
	}
	var ids []string
	if cmd.Next.Deployment != nil {
		ids = append(ids, cmd.Next.Deployment.ID)
	}
	for _, ended := range cmd.Ended {
		ids = append(ids, ended.Deployment.ID)
	}
	return func() {
		s.Engine.Published(ids...)
		s.Engine.Wake(key)
	}, nil
}
