// Lists that come in pages.

import type { CallOptions } from "@connectrpc/connect";

/** What every request for a page has. */
export interface PageRequest {
  pageSize?: number;
  pageToken?: string;
}

/** What every page has. */
export interface Page {
  nextPageToken: string;
}

/**
 * Returns the pages of a list, one call for each:
 *
 *     for await (const page of pages(client.services.listServices, { pageSize: 50 })) use(page.services);
 */
export async function* pages<Q extends PageRequest, P extends Page>(
  list: (request: Q, options?: CallOptions) => Promise<P>,
  request: NoInfer<Q>,
  options?: CallOptions,
): AsyncGenerator<P, void, undefined> {
  let pageToken = request.pageToken ?? "";
  do {
    const page = await list({ ...request, pageToken }, options);
    yield page;
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
}
