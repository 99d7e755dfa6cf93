// Waiting: pauses between attempts, and signals that end what hangs on them.

const firstPauseMs = 100;
const mostPauseMs = 3_000;

/** Pauses between attempts, each about twice as long as the one before, up to 3 s. */
export class Backoff {
  #ms = 0;

  /** How long to wait before the next attempt, ms. It varies, so that many clients do not come back at once. */
  next(): number {
    this.#ms = Math.min(Math.max(2 * this.#ms, firstPauseMs), mostPauseMs);
    return this.#ms / 2 + Math.random() * this.#ms;
  }

  /** Begins anew, after a success. */
  reset(): void {
    this.#ms = 0;
  }
}

/** Waits; returns early when the signal is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
    function end() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    }
  });
}

/** A controller that is aborted with another signal, until it is released. */
export function follower(signal?: AbortSignal): { controller: AbortController; release: () => void } {
  const controller = new AbortController();
  const abort = () => controller.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort);
  return { controller, release: () => signal?.removeEventListener("abort", abort) };
}
