package grpcapi_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// Every rule that the contract writes beside a field is broken once, in an otherwise good request of every method: the
// answer names the field and says the rule.
func TestEveryRuleOfTheContractIsKept(t *testing.T) {
	t.Parallel()
	e := serve(t)
	cases := 0
	for _, file := range contract() {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				method := methods.Get(j)
				good := newMessage(method.Input())
				fill(good)
				if err := protovalidate.Validate(good.Interface()); err != nil {
					t.Fatalf("%s: what should be a good request is not: %v", method.Name(), err)
				}
				breakRules(good, "", func(field, word string) {
					cases++
					err := e.call(method, good.Interface())
					p := refused(t, string(method.Name())+" with "+field, err, problem.InvalidArgument, "INVALID_FIELD")
					if len(p.Violations) != 1 || p.Violations[0].Field != field || !strings.Contains(p.Violations[0].Rule, word) {
						t.Errorf("%s: violations %v, want the field %s and the word %q", method.Name(), p.Violations, field, word)
					}
				})
			}
		}
	}
	t.Logf("%d rules broken", cases)
	if cases < 150 {
		t.Errorf("only %d rules were broken: the walk lost its way", cases)
	}
}

// contract is the files of the package slipway.orchestrator.v1.
func contract() []protoreflect.FileDescriptor {
	return []protoreflect.FileDescriptor{
		orchestratorpb.File_slipway_orchestrator_v1_cluster_service_proto,
		orchestratorpb.File_slipway_orchestrator_v1_task_definition_service_proto,
		orchestratorpb.File_slipway_orchestrator_v1_deployment_configuration_service_proto,
		orchestratorpb.File_slipway_orchestrator_v1_service_service_proto,
		orchestratorpb.File_slipway_orchestrator_v1_deployment_service_proto,
		orchestratorpb.File_slipway_orchestrator_v1_event_service_proto,
		orchestratorpb.File_slipway_orchestrator_v1_task_service_proto,
	}
}

// call calls a method, of one answer or of many, and returns its error.
func (e *env) call(method protoreflect.MethodDescriptor, req proto.Message) error {
	ctx, cancel := context.WithCancel(e.ctx())
	defer cancel()
	path := fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name())
	resp := dynamicpb.NewMessage(method.Output())
	if !method.IsStreamingServer() {
		return e.conn.Invoke(ctx, path, req, resp)
	}
	stream, err := e.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, path)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(req); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(resp)
}
