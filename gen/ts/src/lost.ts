// Tells a connection that broke from what a server said.

import { Code, type ConnectError } from "@connectrpc/connect";

/**
 * Whether no whole answer of a server is behind the error: it could not be reached, or the connection broke. The library
 * gives such an error many codes, e.g. "aborted" for a reset connection and "invalid argument" for half a message; but
 * only an answer has headers.
 */
export function isLost(e: ConnectError): boolean {
  if (e.code === Code.DeadlineExceeded || e.details.length > 0) return false;
  if (e.code === Code.Canceled) return e.rawMessage.startsWith("http/2 stream closed");
  for (const _ of e.metadata) return false;
  return true;
}
