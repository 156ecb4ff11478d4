/** Bounds on everything that a stranger can send or hold open, the same for both listeners. */
export const limits = {
  /** Body of one request, as sent, and of one message once decompressed. */
  maxBodyBytes: 1024 * 1024,
  /** All headers of one request. */
  maxHeaderBytes: 16 * 1024,
  /** HTTP/2 streams that one connection has open at once. */
  maxConcurrentStreams: 100,
  /** TLS handshake, from the first byte. */
  handshakeTimeoutMs: 10_000,
  /** All headers of a request over HTTP/1.1. */
  headersTimeoutMs: 10_000,
  /** A body, once its headers are there. */
  bodyTimeoutMs: 15_000,
  /** A whole request over HTTP/1.1, headers and body. */
  requestTimeoutMs: 25_000,
  /** An answer, whatever the caller's own deadline is. */
  answerTimeoutMs: 30_000,
  /** A connection without a request under way; agents call every 30 s. */
  idleTimeoutMs: 120_000,
  /** What tells HTTP/2 from HTTP/1.1 on a plaintext connection. */
  sniffTimeoutMs: 10_000,
} as const;

/** The greatest deadline that a caller may name, in milliseconds: one day; setTimeout overflows at 24.8. */
export const maxCallerTimeoutMs = 24 * 60 * 60 * 1000;
