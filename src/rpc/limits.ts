/** Bounds on everything that a stranger can send or hold open, the same for both listeners. */

/** Bounds of a listener; those of time are in milliseconds. */
export interface ListenerLimits {
  /** Body of one request, as sent, and of one message once decompressed. */
  readonly maxBodyBytes: number;
  /** All headers of one request; of HTTP/2 up to 64 KiB pass until the client knows of the limit. */
  readonly maxHeaderBytes: number;
  /** HTTP/2 streams that one connection has open at once. */
  readonly maxConcurrentStreams: number;
  /** TLS handshake, from its beginning; for its first byte a client has as long. */
  readonly handshakeTimeoutMs: number;
  /** A connection that waits to begin its TLS handshake. */
  readonly handshakeWaitMs: number;
  /** After that a handshake goes on, and no longer counts among those under way. */
  readonly handshakePlaceMs: number;
  /** TLS handshakes under way, in all and for one address (of IPv6 a /64), and connections that wait to begin theirs. */
  readonly maxHandshakes: number;
  readonly maxHandshakesPerAddress: number;
  readonly maxWaitingHandshakes: number;
  /** All headers of a request over HTTP/1.1. */
  readonly headersTimeoutMs: number;
  /** A body, once its headers are there. */
  readonly bodyTimeoutMs: number;
  /** A whole request over HTTP/1.1, headers and body. */
  readonly requestTimeoutMs: number;
  /** An answer, whatever the caller's own deadline is. */
  readonly answerTimeoutMs: number;
  /** What a connection has to end in good order after its last answer, before it is cut. */
  readonly lingerTimeoutMs: number;
  /** A connection without a request under way. */
  readonly idleTimeoutMs: number;
  /** What tells HTTP/2 from HTTP/1.1 on a plaintext connection. */
  readonly sniffTimeoutMs: number;
  /** How late a time limit on a connection may be noticed. */
  readonly checkIntervalMs: number;
}

/** The bounds that are in force. */
export const defaultLimits: ListenerLimits = {
  maxBodyBytes: 1024 * 1024,
  maxHeaderBytes: 16 * 1024,
  maxConcurrentStreams: 100,
  handshakeTimeoutMs: 10_000,
  // Agents hang up after 10 s.
  handshakeWaitMs: 5_000,
  // A client on another continent needs less.
  handshakePlaceMs: 1_000,
  // A processor carries out less than 1,000 a second, and round trips take a fraction of one.
  maxHandshakes: 512,
  maxHandshakesPerAddress: 128,
  maxWaitingHandshakes: 5_000,
  headersTimeoutMs: 10_000,
  bodyTimeoutMs: 15_000,
  requestTimeoutMs: 25_000,
  answerTimeoutMs: 30_000,
  lingerTimeoutMs: 2_000,
  // Agents call every 30 s.
  idleTimeoutMs: 120_000,
  sniffTimeoutMs: 10_000,
  checkIntervalMs: 1_000,
};

/** The greatest deadline of a caller that counts, in milliseconds: one day; setTimeout overflows at 24.8. */
export const maxCallerTimeoutMs = 24 * 60 * 60 * 1000;
