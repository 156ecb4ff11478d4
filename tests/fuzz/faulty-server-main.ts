/**
 * `bmaas serve` with faults that HTTP/1.1 brings out. PLANTED names them, separated by spaces; the process's own
 * environment has it.
 */
import { subscribe } from "node:diagnostics_channel";
import type { IncomingMessage } from "node:http";

const planted = new Set(process.env.PLANTED?.split(" "));
/** The fuzzer asks for it now and then, and good callers never. */
const rarePath = "/healthz";
const blockMs = 20;
/** The leak begins late, since inputs under way would hide one that began before the fuzzer takes its first figure. */
const soundRequests = 100;
const leakedBytes = 4 * 2 ** 20;
/** Less than what a pipe takes at once, so that it stays one line among others. */
const loggedBytes = 3_000;
const leaked: Buffer[] = [];
let requests = 0;

subscribe("http.server.request.start", (message) => {
  const { request } = message as { request: IncomingMessage };
  if (request.url === rarePath) {
    if (planted.has("end")) process.exit(7);
    if (planted.has("cut")) request.socket.destroy();
  }
  if (planted.has("block")) block();
  requests += 1;
  if (planted.has("leak") && requests > soundRequests) leaked.push(Buffer.alloc(leakedBytes, 1));
  if (planted.has("shout")) shout();
});

function shout(): void {
  for (let left = 3; left > 0; left--)
    process.stdout.write(`${JSON.stringify({ level: 30, msg: "x".repeat(loggedBytes) })}\n`);
}

function block(): void {
  for (const endsAtMs = performance.now() + blockMs; performance.now() < endsAtMs; );
}

// The name is computed, since what operators run has no types.
await import(new URL("../../bin/bmaas.js", import.meta.url).href);
