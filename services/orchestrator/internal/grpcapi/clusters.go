package grpcapi

import (
	"context"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/page"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

type clusters struct {
	orchestratorpb.UnimplementedClusterServiceServer
	s *Server
}

func (c *clusters) CreateCluster(ctx context.Context, req *orchestratorpb.CreateClusterRequest) (resp *orchestratorpb.CreateClusterResponse, err error) {
	err = c.s.Store.InTx(ctx, func(tx pgx.Tx) error {
		resp, err = once.Do(ctx, tx, "CreateCluster", req.GetRequestId(), req, func() (*orchestratorpb.CreateClusterResponse, error) {
			cluster, err := c.s.Store.ClusterCreate(ctx, tx, req.GetCluster().GetName(), c.s.Now())
			return &orchestratorpb.CreateClusterResponse{Cluster: clusterPB(cluster)}, err
		})
		return err
	})
	return resp, err
}

func (c *clusters) ListClusters(ctx context.Context, req *orchestratorpb.ListClustersRequest) (*orchestratorpb.ListClustersResponse, error) {
	var after string
	if err := page.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	size := int(page.Size(req.GetPageSize(), 20, 100))
	list, err := c.s.Store.ClusterList(ctx, after, size+1)
	if err != nil {
		return nil, err
	}
	resp := &orchestratorpb.ListClustersResponse{}
	if len(list) > size {
		list = list[:size]
		resp.NextPageToken = page.Encode(list[size-1].Name)
	}
	for _, cluster := range list {
		resp.Clusters = append(resp.Clusters, clusterPB(cluster))
	}
	return resp, nil
}

func clusterPB(c store.Cluster) *orchestratorpb.Cluster {
	return &orchestratorpb.Cluster{Name: c.Name, CreateTime: timestamppb.New(c.CreateTime)}
}
