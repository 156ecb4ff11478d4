/** Limits on everything that a stranger can send or hold open, the same for both listeners. */

/** Limits of a listener; times are in milliseconds. */
export interface ListenerLimits {
  /** Maximum size of a request's body as sent, and of a message after decompression. */
  readonly maxBodyBytes: number;
  /** Maximum size of a request's headers. Over HTTP/2, up to 64 KiB pass until the client knows the limit. */
  readonly maxHeaderBytes: number;
  /** Maximum number of concurrent HTTP/2 streams on one connection. */
  readonly maxConcurrentStreams: number;
  /** Longest TLS handshake, and longest wait for a client's first byte. */
  readonly handshakeTimeoutMs: number;
  /** Longest wait of a connection to begin its TLS handshake. */
  readonly handshakeWaitMs: number;
  /** After this time, a handshake continues but no longer counts as concurrent. */
  readonly handshakePlaceMs: number;
  /**
   * Maximum numbers of concurrent TLS handshakes, in all and for one address (for IPv6 a /64), and of connections that
   * wait for theirs.
   */
  readonly maxHandshakes: number;
  readonly maxHandshakesPerAddress: number;
  readonly maxWaitingHandshakes: number;
  /** Longest time for all headers of an HTTP/1.1 request. */
  readonly headersTimeoutMs: number;
  /** Longest time for a body after its headers. */
  readonly bodyTimeoutMs: number;
  /** Longest time for a whole HTTP/1.1 request, headers and body. */
  readonly requestTimeoutMs: number;
  /** Longest time for an answer, whatever the caller's own deadline. */
  readonly answerTimeoutMs: number;
  /** How long a connection may take to end after its last answer, before it is cut. */
  readonly lingerTimeoutMs: number;
  /** Longest time of a connection without a request. */
  readonly idleTimeoutMs: number;
  /** Longest wait for the first bytes of a plaintext connection, which tell HTTP/2 from HTTP/1.1. */
  readonly sniffTimeoutMs: number;
  /** How late a time limit on a connection may be enforced. */
  readonly checkIntervalMs: number;
}

/** Limits of both listeners. */
export const defaultLimits: ListenerLimits = {
  maxBodyBytes: 1024 * 1024,
  maxHeaderBytes: 16 * 1024,
  maxConcurrentStreams: 100,
  handshakeTimeoutMs: 10_000,
  // Agents hang up after 10 s.
  handshakeWaitMs: 8_000,
  // A client on another continent needs less.
  handshakePlaceMs: 1_000,
  // A processor completes fewer than 1,000 per second, and a round trip takes a fraction of a second.
  maxHandshakes: 512,
  maxHandshakesPerAddress: 128,
  // A fleet that lost its server returns at once. Each takes a few kilobytes.
  maxWaitingHandshakes: 20_000,
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

/** Longest deadline of a caller that counts, in milliseconds: one day. setTimeout overflows at 24.8 days. */
export const maxCallerTimeoutMs = 24 * 60 * 60 * 1000;

/** Maximum size of a message to a service that everybody may call without a token, in bytes. It has room for a name. */
export const maxOpenMessageBytes = 4_096;
