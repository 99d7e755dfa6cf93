// Prints the events of all services, or of one, and goes on where it was left: the place is kept in a file.
//
//     node watch.js [service]

import { readFile, writeFile } from "node:fs/promises";

import { createClient, hasKind, optionsFromEnv, timestampDate, watchEvents } from "@slipway/client";

const place = "slipway-events.place";
const [service] = process.argv.slice(2);
const client = createClient(optionsFromEnv());
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

try {
  const watched = watchEvents(client, {
    service,
    resumeToken: await readFile(place, "utf8").catch(() => ""),
    signal: stop.signal,
    onOpen: () => console.error("watching"),
    onLost: (error) => console.error(`lost: ${error.message}`),
  });
  for await (const { event, resumeToken } of watched) {
    const time = event.time ? timestampDate(event.time).toISOString() : "";
    console.log(`${time} ${event.cluster}/${event.service} ${event.name} ${event.reason}`);
    await writeFile(place, resumeToken); // after the event is dealt with, so that none is missed
  }
} catch (error) {
  if (!hasKind(error, "canceled")) throw error;
} finally {
  client.close();
}
