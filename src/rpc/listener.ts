/** What both listeners are made of: a bounded HTTP/1.1 and HTTP/2 server under Fastify, with or without TLS, and how it ends. */
import type { ServerOptions } from "node:http";
import type { SecureServerOptions } from "node:http2";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  LogController,
} from "fastify";
import type { Logger } from "pino";
import { limits } from "./limits.ts";
import { createPlaintextServer } from "./plaintext-server.ts";
import { replyWithError } from "./protocol-error.ts";

/** A certificate chain and its key, both PEM. */
export interface ListenerTls {
  readonly cert: string;
  readonly key: string;
}

/** How a listener is made. */
export interface ListenerOptions {
  /** Absent for plaintext, HTTP/2 by prior knowledge. */
  readonly tls: ListenerTls | undefined;
  /** Ask for a client certificate in the handshake, without judging it or insisting on one. */
  readonly requestClientCertificate: boolean;
  readonly log: Logger;
}

/** Builds a listener without routes and without opening its port. */
export function createListener(options: ListenerOptions): FastifyInstance {
  const listener = options.tls === undefined ? createPlaintext(options) : createSecure(options, options.tls);
  listener.addHook("onRequest", endAfterTimeout);
  listener.setNotFoundHandler((request, reply) => {
    replyWithError(reply, new ConnectError(`${request.method} ${request.url} is not served here`, Code.Unimplemented));
  });
  listener.setErrorHandler(replyWithFrameworkError);
  return listener;
}

/** Calls are logged by those who know what they mean; of Fastify itself only trouble is. */
function frameworkOptions(log: Logger) {
  return {
    loggerInstance: log.child({}, { level: log.isLevelEnabled("warn") ? "warn" : log.level }),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: limits.maxBodyBytes,
    http2SessionTimeout: limits.idleTimeoutMs,
  };
}

function createSecure(options: ListenerOptions, tls: ListenerTls): FastifyInstance {
  // Node takes the options of both protocols here; its types know those of HTTP/2 only.
  const https: SecureServerOptions & ServerOptions = {
    ...tls,
    allowHTTP1: true,
    requestCert: options.requestClientCertificate,
    rejectUnauthorized: false,
    handshakeTimeout: limits.handshakeTimeoutMs,
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.idleTimeoutMs,
    settings: { maxConcurrentStreams: limits.maxConcurrentStreams, maxHeaderListSize: limits.maxHeaderBytes },
  };
  return fastify({
    ...frameworkOptions(options.log),
    http2: true,
    https,
  }) as unknown as FastifyInstance;
}

function createPlaintext(options: ListenerOptions): FastifyInstance {
  return fastify({
    ...frameworkOptions(options.log),
    serverFactory: (handler) =>
      createPlaintextServer(handler, {
        sniffTimeoutMs: limits.sniffTimeoutMs,
        headersTimeoutMs: limits.headersTimeoutMs,
        requestTimeoutMs: limits.requestTimeoutMs,
        idleTimeoutMs: limits.idleTimeoutMs,
        maxHeaderBytes: limits.maxHeaderBytes,
        maxConcurrentStreams: limits.maxConcurrentStreams,
      }),
  }) as unknown as FastifyInstance;
}

/** Whatever a handler waits for, no request holds its connection's resources for ever. */
async function endAfterTimeout(_request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const timer = setTimeout(() => reply.raw.destroy(), limits.answerTimeoutMs);
  reply.raw.once("close", () => clearTimeout(timer));
}

/** Errors that Fastify finds before any handler: a content type that nothing here reads, a malformed URL. */
function replyWithFrameworkError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const status = error.statusCode ?? 500;
  if (status >= 500) request.log.error({ err: error }, "a request failed for a reason that is not the caller's");
  const message = status >= 500 ? "internal error" : error.message;
  reply.code(status).send({ code: status >= 500 ? "internal" : "invalid_argument", message });
}

/** Longest that requests under way may take once a listener closes, in milliseconds. */
const drainTimeoutMs = 15_000;
const drainPollMs = 50;

/**
 * Makes a listener that can end: it returns a function that stops accepting, tells HTTP/2 connections to go away, lets requests
 * under way end, and after 15 s destroys what is left.
 */
export function prepareClose(listener: FastifyInstance): () => Promise<void> {
  const sockets = new Set<Socket>();
  listener.server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  return async () => {
    const closed = listener.close().then(() => true);
    const deadline = Date.now() + drainTimeoutMs;
    // A kept-alive connection becomes idle only when its last answer is out: ask again until none is left.
    while (!(await Promise.race([closed, delay(drainPollMs, false)])) && Date.now() < deadline) {
      listener.server.closeIdleConnections();
    }
    for (const socket of sockets) socket.destroy();
    await closed;
  };
}
