// The two messages of google/rpc/error_details.proto that Slipway sends. They are read by hand: they are the only ones of
// that file which are needed, and they are stable.

import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { ConnectError } from "@connectrpc/connect";

/** A field of the request and the rule that it breaks. */
export interface Violation {
  /** The path of the field, e.g. "service.desired_count" or "routes.listeners[1].name". */
  field: string;
  /** The rule, e.g. "must be less than or equal to 100". */
  rule: string;
}

const domain = "slipway";

/** The reason and metadata of an error; nothing when another than Slipway speaks. */
export function errorInfo(e: ConnectError): { reason?: string; metadata?: Record<string, string> } {
  for (const bytes of details(e, "google.rpc.ErrorInfo")) {
    const metadata: Record<string, string> = {};
    const text = { 1: "", 2: "" };
    read(bytes, (field, reader) => {
      if (field === 1 || field === 2) {
        text[field] = reader.string();
      } else {
        const [key, value] = pair(reader.bytes());
        metadata[key] = value;
      }
    });
    if (text[2] === domain) return { reason: text[1], metadata };
  }
  return {};
}

/** The violations of an error. */
export function badRequest(e: ConnectError): Violation[] {
  const violations: Violation[] = [];
  for (const bytes of details(e, "google.rpc.BadRequest")) {
    read(bytes, (_, reader) => {
      const [field, rule] = pair(reader.bytes());
      violations.push({ field, rule });
    });
  }
  return violations;
}

function* details(e: ConnectError, type: string): Iterable<Uint8Array> {
  for (const detail of e.details) {
    if ("type" in detail && detail.type === type && detail.value instanceof Uint8Array) yield detail.value;
  }
}

/** A map entry is the strings 1 and 2, and so begins a FieldViolation. */
function pair(bytes: Uint8Array): [string, string] {
  const text = { 1: "", 2: "" };
  read(bytes, (field, reader) => {
    const value = reader.bytes();
    if (field === 1 || field === 2) text[field] = new TextDecoder().decode(value);
  });
  return [text[1], text[2]];
}

/** Hands out each field that has a length, by its number; take must read it. */
function read(bytes: Uint8Array, take: (field: number, reader: BinaryReader) => void): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (wire === WireType.LengthDelimited) take(field, reader);
    else reader.skip(wire, field);
  }
}
