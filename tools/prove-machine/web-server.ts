/** A small web server on the loopback: what a machine fetches when it boots and installs. */
import { createReadStream, statSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";

/** What is at a path: bytes, or the file with this name, sent no faster than `bytesPerSecond`. */
export interface WebContent {
  readonly content: Buffer | string;
  readonly bytesPerSecond?: number;
}

/** Serves contents by their paths, which may be added while it runs. */
export class WebServer {
  readonly #contents = new Map<string, WebContent>();
  readonly #server = createServer((request, response) => this.#answer(request, response));

  /** Starts to listen, and resolves to the port. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  put(path: string, content: WebContent): void {
    this.#contents.set(path, content);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const found = this.#contents.get(request.url ?? "");
    if (found === undefined) {
      response.writeHead(404).end();
      return;
    }
    const { content, bytesPerSecond } = found;
    const sizeBytes = typeof content === "string" ? statSync(content).size : content.length;
    // The installer asks for the rest where a connection broke.
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    response.writeHead(start === 0 ? 200 : 206, {
      "content-length": sizeBytes - start,
      "content-type": "application/octet-stream",
      etag: `"${sizeBytes}"`,
      ...(start > 0 && { "content-range": `bytes ${start}-${sizeBytes - 1}/${sizeBytes}` }),
    });
    if (request.method === "HEAD") response.end();
    else if (typeof content === "string") createReadStream(content, { start }).pipe(response);
    else Readable.from(pace(content.subarray(start), bytesPerSecond)).pipe(response);
    response.on("error", () => {});
  }
}

async function* pace(bytes: Buffer, bytesPerSecond = Number.POSITIVE_INFINITY): AsyncGenerator<Buffer> {
  const pieceBytes = 256 * 1024;
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    yield bytes.subarray(at, at + pieceBytes);
    if (Number.isFinite(bytesPerSecond)) await delay((1000 * pieceBytes) / bytesPerSecond);
  }
}
