// Errors of calls, as types. What a server says travels as a gRPC status with google.rpc.ErrorInfo and
// google.rpc.BadRequest; here it becomes a SlipwayError.

import { Code, ConnectError } from "@connectrpc/connect";

import { badRequest, errorInfo, type Violation } from "./error-details.js";
import type { Reason as ReasonEnum } from "./gen/slipway/errors/v1/errors_pb.js";
import { isLost } from "./lost.js";

export type { Violation } from "./error-details.js";

/** What sort of failure it is; each kind is one gRPC code. */
export type Kind =
  | "invalid_argument"
  | "not_found"
  | "already_exists"
  | "aborted"
  | "failed_precondition"
  | "permission_denied"
  | "unauthenticated"
  | "resource_exhausted"
  | "unavailable"
  | "deadline_exceeded"
  | "canceled"
  | "internal";

const codes: Record<Kind, Code> = {
  invalid_argument: Code.InvalidArgument,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  aborted: Code.Aborted,
  failed_precondition: Code.FailedPrecondition,
  permission_denied: Code.PermissionDenied,
  unauthenticated: Code.Unauthenticated,
  resource_exhausted: Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  deadline_exceeded: Code.DeadlineExceeded,
  canceled: Code.Canceled,
  internal: Code.Internal,
};

/** Codes that Slipway never sends are "internal", or "invalid_argument" and "failed_precondition" for these two. */
function kindOf(code: Code): Kind {
  for (const [kind, c] of Object.entries(codes)) {
    if (c === code) return kind as Kind;
  }
  if (code === Code.OutOfRange) return "invalid_argument";
  if (code === Code.Unimplemented) return "failed_precondition";
  return "internal";
}

/** The machine-readable causes of slipway.errors.v1.Reason, without the REASON_ prefix. */
export type Reason = Exclude<keyof typeof ReasonEnum, "UNSPECIFIED">;

/** What a SlipwayError is made of. */
export interface ErrorFields {
  kind: Kind;
  message: string;
  code?: Code;
  reason?: string;
  metadata?: Record<string, string>;
  violations?: Violation[];
  cause?: unknown;
}

/** A call that failed: refused by the service, or never answered. */
export class SlipwayError extends Error {
  override readonly name = "SlipwayError";
  /** What sort of failure it is. */
  readonly kind: Kind;
  /** The code as it was received; 12 (unimplemented), for example, has no kind of its own. */
  readonly code: Code;
  /** The cause, e.g. "DEPLOYMENT_IN_PROGRESS"; "" when the server gave none. A newer server may send more than these. */
  readonly reason: Reason | (string & {});
  /** Details by key; which ones stands in the comments of slipway.errors.v1.Reason, e.g. "deployment". */
  readonly metadata: Readonly<Record<string, string>>;
  /** The fields that break a rule, with "invalid_argument". */
  readonly violations: readonly Violation[];

  constructor(f: ErrorFields) {
    super(f.message, f.cause === undefined ? undefined : { cause: f.cause });
    this.kind = f.kind;
    this.code = f.code ?? codes[f.kind];
    this.reason = f.reason ?? "";
    this.metadata = f.metadata ?? {};
    this.violations = f.violations ?? [];
  }

  /**
   * Turns what a call threw into a SlipwayError; one stays as it is. A connection that broke, or was never made, is
   * "unavailable", and peer is then named in the message.
   */
  static from(thrown: unknown, peer?: string): SlipwayError {
    if (thrown instanceof SlipwayError) return thrown;
    const e = ConnectError.from(thrown);
    const cause = thrown;
    if (isLost(e)) {
      const message = `${peer ?? "the server"} cannot be reached: ${e.rawMessage}`;
      return new SlipwayError({ kind: "unavailable", message, cause });
    }
    return new SlipwayError({
      kind: kindOf(e.code),
      code: e.code,
      message: e.rawMessage || Code[e.code],
      ...errorInfo(e),
      violations: badRequest(e),
      cause,
    });
  }
}

/** Whether a call failed in this way: if (hasKind(error, "not_found")) ... */
export function hasKind(error: unknown, ...kinds: Kind[]): error is SlipwayError {
  return error instanceof SlipwayError && kinds.includes(error.kind);
}

/** Whether a call failed for this reason: if (hasReason(error, "DEPLOYMENT_IN_PROGRESS")) ... */
export function hasReason(error: unknown, ...reasons: Reason[]): error is SlipwayError {
  return error instanceof SlipwayError && reasons.some((r) => r === error.reason);
}
