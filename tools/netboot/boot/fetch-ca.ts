/** Fetches the CA of the server's certificate, which its digest proves. */
import { createHash } from "node:crypto";
import http from "node:http";
import https from "node:https";
import { readMessage } from "../../../src/base/system-code.ts";
import type { CaSource } from "./boot-settings.ts";

/** Maximum size of a CA file, in bytes. */
const maxBytes = 1024 * 1024;
const timeoutMs = 30_000;

/** The CA, and the time of the server that it came from. */
export interface FetchedCa {
  readonly pem: Buffer;
  /** In milliseconds since the epoch; undefined if the server does not say. */
  readonly serverTimeMs: number | undefined;
}

/**
 * Fetches the CA. Throws unless it has the digest. Whoever gave the digest vouches for the file, so neither plain http
 * nor a certificate that nobody vouches for can replace it.
 */
export async function fetchCa({ url, digest }: CaSource): Promise<FetchedCa> {
  const answer = await request(url);
  if (answer.statusCode !== 200) {
    answer.destroy();
    throw new Error(`${url.host} answers ${answer.statusCode} ${answer.statusMessage}`);
  }
  const pem = await readBody(answer, url);
  const found = createHash("sha256").update(pem).digest("hex");
  if (found !== digest)
    throw new Error(`the file from ${url.host} has the digest sha256:${found}, and bmaas.ca says sha256:${digest}`);
  const serverTimeMs = Date.parse(answer.headers.date ?? "");
  return { pem, serverTimeMs: Number.isNaN(serverTimeMs) ? undefined : serverTimeMs };
}

function request(url: URL): Promise<http.IncomingMessage> {
  const signal = AbortSignal.timeout(timeoutMs);
  return new Promise((resolve, reject) => {
    const sent =
      url.protocol === "https:"
        ? https.get(url, { signal, rejectUnauthorized: false, agent: false })
        : http.get(url, { signal, agent: false });
    sent
      .on("response", resolve)
      .on("error", (error) => reject(new Error(`cannot fetch from ${url.host}: ${readMessage(error)}`)));
  });
}

async function readBody(answer: http.IncomingMessage, url: URL): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes)
      throw new Error(`the file from ${url.host} is larger than ${maxBytes} bytes, so it is no CA`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
