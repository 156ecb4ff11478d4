/** Sends calls over either version of HTTP, and returns complete answers. */
import { request as requestHttp1 } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { request as requestHttps, Agent as SecureAgent } from "node:https";
import { buffer } from "node:stream/consumers";
import type { TestListener } from "./agent-listener.ts";
import { heartbeatPath } from "./agents.ts";
import { callHttp2 } from "./raw-connection.ts";

/** A request. */
export interface WireCall {
  readonly httpVersion: "1.1" | "2";
  readonly path?: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: Uint8Array;
}

/** Answer to a request, with names of fields in lower case. */
export interface WireAnswer {
  readonly status: number | undefined;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly trailers: NodeJS.Dict<string | string[]>;
  readonly body: Buffer;
}

/** Host that every request names, whatever the listener's address. */
const host = "agents.example";

/** Client with persistent connections to one listener. */
export class WireClient implements Disposable {
  readonly #listener: Pick<TestListener, "agentUrl" | "ca">;
  readonly #session: ClientHttp2Session;
  readonly #agent: SecureAgent | undefined;

  constructor(listener: Pick<TestListener, "agentUrl" | "ca">) {
    this.#listener = listener;
    const isSecure = listener.ca !== "";
    this.#session = connectHttp2(listener.agentUrl, isSecure ? { ca: listener.ca } : {});
    this.#agent = isSecure ? new SecureAgent({ ca: listener.ca, keepAlive: true, servername: "" }) : undefined;
  }

  async call(call: WireCall): Promise<WireAnswer> {
    return call.httpVersion === "2" ? await this.#callHttp2(call) : await this.#callHttp1(call);
  }

  async #callHttp2({ path = heartbeatPath, headers, body }: WireCall): Promise<WireAnswer> {
    const {
      status,
      headers: fields,
      trailers,
      body: content,
    } = await callHttp2(this.#session, { ":path": path, ":authority": host, ...headers }, body);
    return { status, headers: fields, trailers, body: content };
  }

  #callHttp1({ path = heartbeatPath, headers, body }: WireCall): Promise<WireAnswer> {
    const send = this.#agent === undefined ? requestHttp1 : requestHttps;
    const options = { method: "POST", headers: { host, ...headers }, ...(this.#agent && { agent: this.#agent }) };
    return new Promise((resolve, reject) => {
      send(new URL(path, this.#listener.agentUrl), options, (response) => {
        buffer(response).then((content) => {
          const { statusCode, headers: fields, trailers } = response;
          resolve({ status: statusCode, headers: fields, trailers, body: content });
        }, reject);
      })
        .on("error", reject)
        .end(body);
    });
  }

  [Symbol.dispose](): void {
    this.#session.destroy();
    this.#agent?.destroy();
  }
}
