package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
)

// maxWebhookBody bounds what is read of a request: hook details of 64 KiB and what is around them.
const maxWebhookBody = 1 << 20

// VerifyWebhook checks that a request was signed with one of the secrets ("whsec_...", those of the hook's registration) not
// more than 5 minutes ago, as Standard Webhooks (standardwebhooks.com) says. Give both secrets while they change. Requests
// without a valid signature come from someone else: answer 401 and do nothing.
func VerifyWebhook(header http.Header, body []byte, secrets ...string) error {
	err := errors.New("there is no secret to verify with")
	for _, secret := range secrets {
		receiver, bad := standardwebhooks.NewWebhook(secret)
		if bad != nil {
			return errors.New("a secret is not \"whsec_\" and base64") // the error of the library shows part of it
		}
		if err = receiver.Verify(body, header); err == nil {
			return nil
		}
	}
	return fmt.Errorf("the signature of a webhook: %w", err)
}

// NewWebhook is the handler for an HTTP server of your own: a hook registered with that server's URL and the secrets calls
// it. Without secrets anyone who reaches the server can call it. It answers as NewHookServer does: an error that is
// Unavailable and the end of the context are 503, so that the hook is called again; another error is FAILED.
//
// A Result that is InProgress is asked for again after its delay. To report from outside instead, with ReportResult and
// however late, let the handler begin its work and return Accepted.
func NewWebhook(h HookHandler, secrets ...string) http.Handler {
	return webhook{server: hookServer{handle: h}, secrets: secrets}
}

type webhook struct {
	server  hookServer
	secrets []string
}

// ServeHTTP answers one call.
func (h webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhookBody))
	if err != nil {
		http.Error(w, "the body cannot be read", http.StatusBadRequest)
		return
	}
	if len(h.secrets) > 0 {
		if err := VerifyWebhook(r.Header, body, h.secrets...); err != nil {
			http.Error(w, "the signature is not valid", http.StatusUnauthorized)
			return
		}
	}
	req, err := requestFrom(r.Header, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	result, err := h.server.answer(r.Context(), invocationFrom(req))
	if err != nil {
		http.Error(w, status.Convert(err).Message(), http.StatusServiceUnavailable)
		return
	}
	result.write(w)
}

// requestFrom is the message that the JSON object and the headers stand for. CodeDeploy's object has two ids only.
func requestFrom(header http.Header, body []byte) (*hookspb.HandleHookRequest, error) {
	attempt := attemptOf(header)
	var once struct{ DeploymentId, LifecycleEventHookExecutionId string } //nolint:staticcheck // the names are CodeDeploy's
	if json.Unmarshal(body, &once) == nil && once.LifecycleEventHookExecutionId != "" {
		return &hookspb.HandleHookRequest{
			ExecutionId: once.LifecycleEventHookExecutionId, DeploymentId: once.DeploymentId, Attempt: attempt,
			Contract: hookspb.Contract_CONTRACT_CODEDEPLOY,
		}, nil
	}
	req := &hookspb.HandleHookRequest{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, req); err != nil {
		return nil, errors.New("the body is not the request of a hook")
	}
	req.Attempt = attempt
	return req, nil
}

// attemptOf is 0 for a header that is not the hooks service's.
func attemptOf(header http.Header) int32 {
	n, err := strconv.ParseInt(header.Get("Slipway-Attempt"), 10, 32)
	if err != nil {
		return 0
	}
	return int32(n)
}

// write answers as ECS has it: the status without its prefix, the delay in seconds.
func (r Result) write(w http.ResponseWriter) {
	fields := map[string]any{}
	if r.Details != nil {
		fields["hookDetails"] = r.Details
	}
	code := http.StatusAccepted
	if !r.accepted {
		code = http.StatusOK
		fields["hookStatus"] = statusName(r.Status)
		if r.CallBackDelay != 0 {
			fields["callBackDelay"] = r.CallBackDelay.Seconds()
		}
		if r.Reason != "" {
			fields["reason"] = cut(r.Reason)
		}
	}
	body, err := json.Marshal(fields)
	if err != nil {
		Failed("the details of a hook's result: %s", err).write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(body) // it fails when the caller is gone
}

func statusName(s hookspb.HookStatus) string {
	switch s {
	case hookspb.HookStatus_HOOK_STATUS_SUCCEEDED:
		return "SUCCEEDED"
	case hookspb.HookStatus_HOOK_STATUS_FAILED:
		return "FAILED"
	case hookspb.HookStatus_HOOK_STATUS_IN_PROGRESS:
		return "IN_PROGRESS"
	default:
		return ""
	}
}
