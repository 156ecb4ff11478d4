/** Request headers that are allowed and that hardly anybody sends, each with a value that may belong to another one. */
import type { Random } from "../random.ts";

/** Name and value, as they go out. */
export type Field = readonly [name: string, value: string];

const names: readonly string[] = `
  accept accept-encoding accept-language access-control-request-headers access-control-request-method alt-used authorization baggage
  cache-control connect-accept-encoding connect-content-encoding connect-protocol-version connect-timeout-ms constructor
  content-digest content-encoding content-language content-type cookie date early-data expect forwarded from grpc-accept-encoding
  grpc-encoding grpc-timeout if-match if-modified-since if-none-match if-range max-forwards origin pragma priority
  proxy-authorization __proto__ range referer signature signature-input te traceparent tracestate trailer user-agent via
  x-forwarded-for x-forwarded-proto x-http-method-override x-request-id x-~
`
  .trim()
  .split(/\s+/);

const values: readonly string[] = [
  "",
  "a".repeat(5_000),
  "\xe9\xff",
  ...`
    0
    1
    -1
    1e3
    1S
    10m
    999999999S
    18446744073709551616
    *
    */*
    ()
    "x"
    [::1]
    100-continue
    127.0.0.1
    application/grpc
    application/json
    Basic eDp4
    Bearer x
    br
    bytes=0-
    close
    deflate, gzip;q=0
    gzip
    identity
    sha-256=:AAAA:
    sig1=:AAAA:
    text/plain; charset=utf-7
    Thu, 01 Jan 1970
    trailers
    00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
  `
    .trim()
    .split(/\n\s*/),
];

/** Draws some; most requests have none. */
export function drawOddHeaders(random: Random): Field[] {
  const count = random.chance(0.7) ? 0 : random.chance(0.95) ? 1 + random.below(4) : random.between(20, 100);
  return Array.from({ length: count }, () => [random.pick(names), random.pick(values)] as const);
}
