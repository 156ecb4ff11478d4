/** A real web server that has one image, and whose faults a test decides. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/** Answers a request; `index` counts from 0. Returns whether it did; if not, the image is served. */
export type Fault = (request: IncomingMessage, response: ServerResponse, index: number) => boolean | undefined;

/** A running server. */
export interface ImageServer {
  /** URL of the image. */
  readonly url: string;
  /** The header fields of all requests so far. */
  readonly requests: IncomingMessage["headers"][];
}

/** Starts a server that serves `image` with an entity tag and ranges, over TLS with `tls`, until the test is over. */
export async function serveImage(
  image: Buffer,
  { fault, tls }: { fault?: Fault; tls?: { key: string; cert: string } } = {},
): Promise<ImageServer> {
  const requests: IncomingMessage["headers"][] = [];
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    const index = requests.push(request.headers) - 1;
    if (fault?.(request, response, index) !== true) sendImage(image, request, response);
  };
  const server: Server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http${tls === undefined ? "" : "s"}://127.0.0.1:${port}/image`, requests };
}

/** Options of `sendImage`. */
export interface SendOptions {
  /** Default: `"one"`, in quotes. Null for none. */
  readonly etag?: string | null;
  readonly lastModified?: string;
  /** Bytes after which the connection is cut. */
  readonly cutAfter?: number;
  readonly ranges?: boolean;
}

/** Sends the image, or the rest of it that the request asks for. Returns true. */
export function sendImage(
  image: Buffer,
  request: IncomingMessage,
  response: ServerResponse,
  options: SendOptions = {},
): true {
  const { etag = '"one"', lastModified, cutAfter, ranges = true } = options;
  if (etag !== null) response.setHeader("etag", etag);
  if (lastModified !== undefined) response.setHeader("last-modified", lastModified);
  const condition = request.headers["if-range"];
  const holds = condition === undefined || condition === etag || condition === lastModified;
  const [, start] = /^bytes=(\d+)-$/.exec(request.headers.range ?? "") ?? [];
  const from = ranges && holds && start !== undefined ? Number(start) : undefined;
  if (from !== undefined && from >= image.length) {
    response.writeHead(416).end();
    return true;
  }
  if (from !== undefined) response.setHeader("content-range", `bytes ${from}-${image.length - 1}/${image.length}`);
  const body = image.subarray(from ?? 0);
  response.writeHead(from === undefined ? 200 : 206, { "content-length": body.length });
  if (cutAfter === undefined) response.end(body);
  else response.write(body.subarray(0, cutAfter), () => response.destroy());
  return true;
}

/** Creates the fault of a server that announces all of the image, and never sends what is behind its first `bytes`. */
export function endAt(image: Buffer, bytes: number): Fault {
  return (request, response) => {
    const [, start = "0"] = /^bytes=(\d+)-$/.exec(request.headers.range ?? "") ?? [];
    const from = Number(start);
    if (from > 0) response.setHeader("content-range", `bytes ${from}-${image.length - 1}/${image.length}`);
    response.writeHead(from > 0 ? 206 : 200, { etag: '"one"', "content-length": image.length - from });
    response.write(image.subarray(from, bytes), () => response.destroy());
    return true;
  };
}
