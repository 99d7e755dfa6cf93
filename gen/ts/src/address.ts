// Where a service is, and what may be sent there.

/** How an address without a scheme is spoken to. */
export interface Security {
  /** Without TLS, also to another machine. */
  insecure: boolean;
  /** With TLS, also on this machine. */
  tls: boolean;
}

/** Returns the base URL of "http://host:port", "https://host:port" or "host:port". The last is TLS unless it is loopback. */
export function baseUrl(name: string, address: string, security: Security): string {
  const hasScheme = /^[a-z]+:\/\//i.test(address);
  let url: URL;
  try {
    url = new URL(hasScheme ? address : `http://${address}`);
  } catch {
    throw new TypeError(`${name}: must be a URL or host:port, but is ${JSON.stringify(address)}`);
  }
  if (!hasScheme && !security.insecure && (security.tls || !isLoopback(url))) url = new URL(`https://${address}`);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new TypeError(`${name}: must begin with http:// or https://, but is ${JSON.stringify(address)}`);
  }
  return url.href.replace(/\/+$/, "");
}

/** Refuses to send a token in plain text to another machine. */
export function guardToken(name: string, base: string, token: string, insecure: boolean): void {
  const url = new URL(base);
  if (token !== "" && url.protocol === "http:" && !isLoopback(url) && !insecure) {
    throw new TypeError(`${name}: the token would travel unencrypted to ${url.host}: use https://, or set insecure`);
  }
}

function isLoopback(url: URL): boolean {
  return url.hostname === "localhost" || url.hostname === "[::1]" || /^127(\.\d+){3}$/.test(url.hostname);
}
