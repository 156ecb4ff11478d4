/** Builds the base of both listeners: a bounded HTTP/1.1 and HTTP/2 server under Fastify, with or without TLS. */
import type { EventEmitter } from "node:events";
import type { ServerOptions, ServerResponse } from "node:http";
import type { SecureServerOptions } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  fastify,
  type onRequestHookHandler,
} from "fastify";
import type { Logger } from "pino";
import { http1Messages } from "./connections/http1-messages.ts";
import { replaceNodeAnswers } from "./connections/node-answers.ts";
import { createPlaintextServer } from "./connections/plaintext-server.ts";
import { expectProxyHeaders } from "./connections/proxied-connections.ts";
import { findHostTrouble, toOriginForm } from "./connections/request-target.ts";
import { tendSecureConnections } from "./connections/secure-connections.ts";
import { rotateTicketKeys, type SessionTickets, toTicketOptions } from "./connections/session-tickets.ts";
import { createSharedTimeout } from "./connections/shared-timeout.ts";
import { createUnreadableRequestHandler } from "./connections/unreadable-requests.ts";
import type { ListenerLimits } from "./limits.ts";
import {
  createPlainCalls,
  decorateWithPlainCalls,
  findLaneExchange,
  type PlainCalls,
} from "./unary-lane/plain-calls.ts";
import { seeToUnreadBodies } from "./unread-body.ts";
import { replyWithError } from "./wire/protocol-error.ts";
import { sendAnswer } from "./wire/send-answer.ts";

/** A certificate chain and its key, both PEM. */
export interface ListenerTls {
  readonly cert: string;
  readonly key: string;
}

/** Options of `createListener`. */
export interface ListenerOptions {
  /** Undefined for plaintext, with HTTP/2 by prior knowledge. */
  readonly tls: ListenerTls | undefined;
  /** Whether to request a client certificate in the handshake, without verifying or requiring it. */
  readonly requestClientCertificate: boolean;
  /** Session tickets of TLS. Default: Node's own. */
  readonly tickets?: SessionTickets | undefined;
  readonly log: Logger;
  readonly limits: ListenerLimits;
  /**
   * Addresses and networks of proxies whose connections begin with a PROXY protocol header, such as "10.0.0.0/8".
   * Default: none.
   */
  readonly proxies?: readonly string[] | undefined;
  /** Paths of calls that may last as long as their caller wants: `limits.answerTimeoutMs` does not apply to them. */
  readonly endlessPaths?: ReadonlySet<string>;
  /** Called for each request that reaches no route or does not become a call, with the code of the answer. */
  readonly onUnserved?: (code: Code) => void;
}

/** Builds a listener without routes and without opening its port. */
export function createListener(options: ListenerOptions): FastifyInstance {
  const { limits, tls, onUnserved } = options;
  const plainCalls = createPlainCalls();
  const listener = tls === undefined ? createPlaintext(options, plainCalls) : createSecure(options, tls, plainCalls);
  if (options.proxies !== undefined) expectProxyHeaders(listener.server, options.proxies, limits, options.log);
  decorateWithPlainCalls(listener, plainCalls);
  // A listening server emits "error" for each connection that the system cannot accept, and continues to work.
  listener.addHook("onListen", async () => {
    listener.server.on("error", (error) => options.log.error({ err: error }, "could not accept a connection"));
  });
  // The handler of a content type parses it; other bodies are not parsed.
  listener.removeAllContentTypeParsers();
  // First, so that it bounds refusals as well.
  listener.addHook("onRequest", createAnswerTimeout(limits, options.endlessPaths));
  listener.addHook("onRequest", createHostCheck(options));
  seeToUnreadBodies(listener, limits);
  listener.setNotFoundHandler((request, reply) => {
    const what = `${request.method} ${request.url.slice(0, maxShownLength)}`;
    onUnserved?.(Code.Unimplemented);
    replyWithError(reply, new ConnectError(`${what} is not served here`, Code.Unimplemented), limits);
  });
  listener.setErrorHandler((error: FastifyError, _request, reply) => {
    replyWithFrameworkError(error, reply, options);
  });
  return listener;
}

/** How much of a URL an error message quotes, in characters. */
const maxShownLength = 200;

/**
 * Returns Fastify's options. Fastify itself does not log, because it would create a logger for each request and listen
 * to its response. Calls are logged by the code that understands them.
 */
function frameworkOptions(options: ListenerOptions) {
  const { limits } = options;
  return {
    bodyLimit: limits.maxBodyBytes,
    // The session reaper ends idle sessions.
    http2SessionTimeout: 0,
    clientErrorHandler: createUnreadableRequestHandler(limits),
    // Requests that arrive while the listener closes are served, and their connections end after them.
    return503OnClosing: false,
    // Fastify's types depend on the kind of server, which does not matter here.
    frameworkErrors: (error: FastifyError, _request: unknown, reply: unknown) =>
      replyWithFrameworkError(error, reply as FastifyReply, options),
  };
}

function createSecure(options: ListenerOptions, tls: ListenerTls, { serverOptions }: PlainCalls): FastifyInstance {
  const { limits, tickets } = options;
  // Node accepts the options of both protocols here, but its types have only those of HTTP/2.
  const https: SecureServerOptions & ServerOptions = {
    // Only these two, and above all no CA: agents' libraries send no self-signed certificate to a server that names the
    // CAs it accepts.
    cert: tls.cert,
    key: tls.key,
    ...(tickets && toTicketOptions(tickets)),
    allowHTTP1: true,
    http1Options: http1Messages,
    requestCert: options.requestClientCertificate,
    rejectUnauthorized: false,
    handshakeTimeout: limits.handshakeTimeoutMs,
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.idleTimeoutMs,
    connectionsCheckingInterval: limits.checkIntervalMs,
    settings: { maxConcurrentStreams: limits.maxConcurrentStreams, maxHeaderListSize: limits.maxHeaderBytes },
    // A header table for each connection would cost more than it saves in the connection's few answers.
    maxDeflateDynamicTableSize: 0,
    ...serverOptions,
  };
  const listener = fastify({ ...frameworkOptions(options), http2: true, https }) as unknown as FastifyInstance;
  const server: EventEmitter = listener.server;
  replaceNodeAnswers(server, (request, response) => server.emit("request", request, response));
  // Before Fastify, which routes by the target.
  server.prependListener("request", (request) => {
    if (request.httpVersionMajor === 1) toOriginForm(request);
  });
  tendSecureConnections(server, limits, options.log);
  if (tickets !== undefined && tickets !== "off") rotateTicketKeys(listener, tickets);
  return listener;
}

function createPlaintext(options: ListenerOptions, { serverOptions }: PlainCalls): FastifyInstance {
  return fastify({
    ...frameworkOptions(options),
    serverFactory: (handler) => createPlaintextServer(handler, options.limits, serverOptions),
  }) as unknown as FastifyInstance;
}

/**
 * Refuses HTTP/1.1 requests with an invalid or repeated host, in plain HTTP and not in a call's protocol (RFC 9112
 * section 3.2).
 */
function createHostCheck({ limits, onUnserved }: ListenerOptions): onRequestHookHandler {
  return (request, reply, done) => {
    const trouble = request.raw.httpVersionMajor === 1 ? findHostTrouble(request.raw) : undefined;
    if (trouble === undefined) return done();
    onUnserved?.(Code.InvalidArgument);
    const headers = { "content-type": "application/json", connection: "close" };
    const body = JSON.stringify(errorToJson(new ConnectError(trouble, Code.InvalidArgument), undefined));
    sendAnswer(reply, { status: 400, headers, body }, limits.lingerTimeoutMs);
  };
}

/**
 * Bounds the time of every answer, so that no request holds its connection's resources for ever, whatever its handler
 * waits for.
 */
function createAnswerTimeout(
  { answerTimeoutMs, checkIntervalMs }: ListenerLimits,
  endlessPaths: ReadonlySet<string> | undefined,
): onRequestHookHandler {
  const pending = createSharedTimeout<{ destroy(): unknown }>(answerTimeoutMs, checkIntervalMs, (response) =>
    response.destroy(),
  );
  function forget(this: ServerResponse) {
    pending.delete(this);
  }
  return (request, reply, done) => {
    // The lane bounds its own exchanges.
    if (findLaneExchange(request) === undefined && endlessPaths?.has(request.url) !== true) {
      pending.add(reply.raw);
      reply.raw.on("close", forget);
    }
    done();
  };
}

/** Answers errors that Fastify finds before any handler, such as an unknown content type or a malformed URL. */
function replyWithFrameworkError(
  error: FastifyError,
  reply: FastifyReply,
  { limits, log, onUnserved }: ListenerOptions,
): void {
  const status = error.statusCode ?? 500;
  if (status >= 500) log.error({ err: error }, "a request failed because of an internal error");
  const known =
    status >= 500
      ? new ConnectError("internal error", Code.Internal)
      : new ConnectError(error.message.slice(0, maxShownLength), Code.InvalidArgument);
  onUnserved?.(known.code);
  replyWithError(reply, known, limits, status);
}
