/** A receiver of webhooks on loopback that records what arrives, and answers as the test says. */
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";
import { onTestFinished } from "vitest";
import { caExtensions, issueCertificate, serverExtensions } from "../../src/tls/issue-certificate.ts";
import { waitUntil } from "./wait.ts";

/** A message that arrived. */
export interface ReceivedMessage {
  readonly id: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly type: string;
  /** The machine that the message is about. */
  readonly machineId: string;
  /** The event's own data. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** How to answer a message. Default: 204. */
export type Answer = (message: ReceivedMessage, response: ServerResponse) => unknown;

/** A running receiver. It is closed when the test ends. */
export interface WebhookReceiver {
  readonly url: string;
  /** In the order of their arrival. */
  readonly messages: readonly ReceivedMessage[];
  /** Changes how messages are answered from now on. */
  answer(answer: Answer): void;
  /** Accepts what has not been answered yet. */
  release(): void;
  /** Waits for `count` messages, and returns all that have arrived. */
  waitFor(count: number): Promise<readonly ReceivedMessage[]>;
}

/** Answers that receivers get wrong. */
export const answers = {
  accept: (_message, response) => response.writeHead(204).end(),
  refuse: (_message, response) => response.writeHead(500).end("out of order"),
  /** Takes the message, and never says a word. */
  stall: () => undefined,
} satisfies Record<string, Answer>;

/** Starts a receiver, with TLS if a certificate is given. */
export async function startReceiver(
  answer: Answer = answers.accept,
  tls?: { readonly cert: string; readonly key: string },
): Promise<WebhookReceiver> {
  const messages: ReceivedMessage[] = [];
  const open = new Set<ServerResponse>();
  let current = answer;
  const listener = async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const message = readMessage(request, Buffer.concat(chunks).toString("utf8"));
    messages.push(message);
    open.add(response.on("close", () => open.delete(response)));
    current(message, response);
  };
  const server = tls === undefined ? createServer(listener) : createSecureServer(tls, listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}/hook?key=hidden`,
    messages,
    answer: (next) => {
      current = next;
    },
    release: () => {
      for (const response of open) if (!response.headersSent) response.writeHead(204).end();
    },
    waitFor: (count) => waitUntil(`${count} messages arrive`, () => messages.length >= count && messages),
  };
}

function readMessage({ headers }: IncomingMessage, body: string): ReceivedMessage {
  const { type, data = {} } = JSON.parse(body) as { type: string; data?: Record<string, unknown> };
  const texts = headers as Record<string, string>;
  return {
    id: texts["webhook-id"] ?? "",
    headers: texts,
    body,
    type,
    machineId: String(data.machineId ?? ""),
    data,
  };
}

/** Returns whether the message verifies with the secret, by the library of Standard Webhooks. */
export function isSignedWith(secret: string, { body, headers }: ReceivedMessage): boolean {
  try {
    new Webhook(secret).verify(body, headers as Record<string, string>);
    return true;
  } catch {
    return false;
  }
}

/** Creates a CA of an organisation's own, which issues certificates for TLS. */
export function createAuthority() {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issuer = { name: "a private CA", privateKey };
  const validity = { notBefore: new Date(Date.now() - 86_400_000), notAfter: new Date(Date.now() + 86_400_000) };
  const publicKey = createPublicKey(privateKey);
  const ca = issueCertificate(
    { ...validity, subject: issuer.name, publicKey, extensions: caExtensions(publicKey) },
    issuer,
  );
  return {
    ca: ca.toString(),
    issue: (name: string) => {
      const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const extensions = serverExtensions(own.publicKey, issuer, [name]);
      const template = { ...validity, subject: "", publicKey: own.publicKey, extensions };
      const key = own.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
      return { cert: issueCertificate(template, issuer).toString(), key };
    },
  };
}
