// Package rpcstatus translates between problems and gRPC statuses, for grpcserver and grpcclient only.
// A problem's reason and metadata travel as google.rpc.ErrorInfo with the domain "slipway", its violations as
// google.rpc.BadRequest; its cause does not travel.
package rpcstatus

import (
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// Domain is the domain of every ErrorInfo that Slipway makes.
const Domain = "slipway"

// Code returns the gRPC code of a kind.
func Code(kind problem.Kind) codes.Code {
	switch kind {
	case problem.InvalidArgument:
		return codes.InvalidArgument
	case problem.NotFound:
		return codes.NotFound
	case problem.AlreadyExists:
		return codes.AlreadyExists
	case problem.Aborted:
		return codes.Aborted
	case problem.FailedPrecondition:
		return codes.FailedPrecondition
	case problem.PermissionDenied:
		return codes.PermissionDenied
	case problem.Unauthenticated:
		return codes.Unauthenticated
	case problem.ResourceExhausted:
		return codes.ResourceExhausted
	case problem.Unavailable:
		return codes.Unavailable
	case problem.DeadlineExceeded:
		return codes.DeadlineExceeded
	case problem.Canceled:
		return codes.Canceled
	}
	return codes.Internal
}

// Kind returns the kind of a gRPC code; codes that Slipway never sends are Internal, or Invalid for OutOfRange
// and FailedPrecondition for Unimplemented.
func Kind(code codes.Code) problem.Kind {
	for _, kind := range problem.Kinds() {
		if Code(kind) == code {
			return kind
		}
	}
	switch code {
	case codes.OutOfRange:
		return problem.InvalidArgument
	case codes.Unimplemented:
		return problem.FailedPrecondition
	}
	return problem.Internal
}

// FromProblem returns the status that carries p.
func FromProblem(p *problem.Error) *status.Status {
	message := p.Message
	if message == "" {
		message = p.Kind.Error()
	}
	st := status.New(Code(p.Kind), message)
	var details []protoadapt.MessageV1
	if p.Reason != "" || len(p.Metadata) > 0 {
		details = append(details, &errdetails.ErrorInfo{Reason: p.Reason, Domain: Domain, Metadata: p.Metadata})
	}
	if len(p.Violations) > 0 {
		bad := &errdetails.BadRequest{}
		for _, v := range p.Violations {
			bad.FieldViolations = append(bad.FieldViolations,
				&errdetails.BadRequest_FieldViolation{Field: v.Field, Description: v.Rule})
		}
		details = append(details, bad)
	}
	if len(details) == 0 {
		return st
	}
	detailed, err := st.WithDetails(details...)
	if err != nil { // text that is no UTF-8; the code and the message are worth more than nothing
		return st
	}
	return detailed
}

// In returns the status in err's chain, as it was made: status.FromError would put the text of whatever wraps it,
// such as "max retries exhausted", into the message. It returns nil when there is none.
func In(err error) *status.Status {
	var holder interface{ GRPCStatus() *status.Status }
	if errors.As(err, &holder) {
		return holder.GRPCStatus()
	}
	return nil
}

// ToProblem returns the problem that st carries. The cause is left to the caller.
func ToProblem(st *status.Status) *problem.Error {
	p := &problem.Error{Kind: Kind(st.Code()), Message: st.Message()}
	for _, detail := range st.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == Domain {
				p.Reason, p.Metadata = d.GetReason(), d.GetMetadata()
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				p.Violations = append(p.Violations, problem.Violation{Field: v.GetField(), Rule: v.GetDescription()})
			}
		}
	}
	return p
}
