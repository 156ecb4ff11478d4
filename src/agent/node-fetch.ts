/** A fetch over node:http and node:https with configurable CAs, which Node's own fetch lacks. */
import http from "node:http";
import https from "node:https";

/** Maximum size of an answer. An answer to a heartbeat is much smaller. */
export const maxResponseBytes = 4 * 1024 * 1024;

/**
 * Returns a fetch for unary calls over HTTP/1.1 that trusts the CAs in `ca` (PEM; default: those that Node trusts). It
 * follows no redirects, and rejects for an answer of more than `maxResponseBytes`.
 */
export function createNodeFetch({ ca }: { ca?: string | Buffer | undefined } = {}): typeof globalThis.fetch {
  const agents = {
    "http:": new http.Agent({ keepAlive: true }),
    "https:": new https.Agent({ keepAlive: true, ...(ca === undefined ? {} : { ca }) }),
  };
  return async (input, init) => {
    const request = new Request(input, init);
    const body = Buffer.from(await request.arrayBuffer());
    const url = new URL(request.url);
    if (url.protocol !== "http:" && url.protocol !== "https:") throw new TypeError(`${url.protocol} is not http(s)`);
    const answer = await send(url, request, body, agents[url.protocol]);
    return await readResponse(answer);
  };
}

function send(url: URL, request: Request, body: Buffer, agent: http.Agent): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { method, signal } = request;
    const headers = { ...Object.fromEntries(request.headers), "content-length": body.length };
    const module = url.protocol === "https:" ? https : http;
    module.request(url, { method, headers, agent, signal }, resolve).on("error", reject).end(body);
  });
}

async function readResponse(answer: http.IncomingMessage): Promise<Response> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxResponseBytes) throw new Error(`the answer has more than ${maxResponseBytes} bytes`);
    chunks.push(chunk);
  }
  const headers = new Headers();
  for (let at = 0; at < answer.rawHeaders.length; at += 2) {
    headers.append(answer.rawHeaders[at] ?? "", answer.rawHeaders[at + 1] ?? "");
  }
  const status = answer.statusCode ?? 0;
  if (status < 200 || status > 599) throw new Error(`the answer has the status ${status}`);
  const bodyless = status === 204 || status === 205 || status === 304;
  return new Response(bodyless ? null : Buffer.concat(chunks), { status, headers });
}
