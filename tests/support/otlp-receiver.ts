/**
 * A receiver of traces by OTLP over HTTP, which decodes them from protobuf (opentelemetry/proto/trace/v1/trace.proto).
 */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { waitUntil } from "./wait.ts";

type Attributes = Readonly<Record<string, string | bigint | boolean>>;

/** A received span. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first span of a trace. */
  readonly parentSpanId: string;
  readonly name: string;
  /** 2 for a server span, 3 for a client span. */
  readonly kind: number;
  readonly durationMs: number;
  readonly attributes: Attributes;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** 0 unset, 2 error. */
  readonly status: number;
  /** Attributes of the sending process. */
  readonly resource: Attributes;
}

/** A running receiver. */
export interface OtlpReceiver extends AsyncDisposable {
  /** Value for OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly endpoint: string;
  readonly spans: readonly ReceivedSpan[];
  /** Paths and headers of the received requests. */
  readonly requests: readonly { readonly url: string | undefined; readonly headers: IncomingHttpHeaders }[];
  /** Makes the receiver answer with this status from now on. */
  respond(status: number): void;
  /** Waits for a span that passes `test` and returns the first one. */
  find(what: string, test: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan>;
}

/** Starts a receiver on loopback. */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const requests: { url: string | undefined; headers: IncomingHttpHeaders }[] = [];
  let status = 200;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const { url, headers } = request;
    requests.push({ url, headers });
    if (status === 200) spans.push(...decodeRequest(headers["content-encoding"] === "gzip" ? gunzipSync(body) : body));
    response.writeHead(status, { "content-type": "application/x-protobuf" }).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    requests,
    respond: (next) => {
      status = next;
    },
    find: (what, test) => waitUntil(`a span of ${what}`, () => spans.find(test)),
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** Fields of an encoded message by number, each with all its values. */
class Fields {
  readonly #values = new Map<number, (Uint8Array | bigint)[]>();

  constructor(bytes: Uint8Array) {
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) {
      const [number, type] = reader.tag();
      const value = readValue(reader, type);
      this.#values.set(number, [...(this.#values.get(number) ?? []), value]);
    }
  }

  bytes(number: number): Uint8Array {
    return this.all(number)[0] ?? new Uint8Array();
  }

  all(number: number): Uint8Array[] {
    return (this.#values.get(number) ?? []).filter((value) => value instanceof Uint8Array);
  }

  messages(number: number): Fields[] {
    return this.all(number).map((bytes) => new Fields(bytes));
  }

  text(number: number): string {
    return Buffer.from(this.bytes(number)).toString();
  }

  hex(number: number): string {
    return Buffer.from(this.bytes(number)).toString("hex");
  }

  number(number: number): bigint {
    return (this.#values.get(number) ?? []).find((value) => typeof value === "bigint") ?? 0n;
  }

  has(number: number): boolean {
    return this.#values.has(number);
  }
}

function readValue(reader: BinaryReader, type: WireType): Uint8Array | bigint {
  switch (type) {
    case WireType.Varint:
      return BigInt(reader.uint64());
    case WireType.Bit64:
      return BigInt(reader.fixed64());
    case WireType.Bit32:
      return BigInt(reader.fixed32());
    case WireType.LengthDelimited:
      return reader.bytes();
    default:
      throw new Error(`wire type ${type} is not used by traces`);
  }
}

function decodeRequest(bytes: Uint8Array): ReceivedSpan[] {
  return new Fields(bytes).messages(1).flatMap((resourceSpans) => {
    const resource = readAttributes(resourceSpans.messages(1)[0]?.messages(1) ?? []);
    const spans = resourceSpans.messages(2).flatMap((scopeSpans) => scopeSpans.messages(2));
    return spans.map((span) => ({
      traceId: span.hex(1),
      spanId: span.hex(2),
      parentSpanId: span.hex(4),
      name: span.text(5),
      kind: Number(span.number(6)),
      durationMs: Number(span.number(8) - span.number(7)) / 1e6,
      attributes: readAttributes(span.messages(9)),
      links: span.messages(13).map((link) => ({ traceId: link.hex(1), spanId: link.hex(2) })),
      status: Number(span.messages(15)[0]?.number(3) ?? 0),
      resource,
    }));
  });
}

function readAttributes(pairs: readonly Fields[]): Attributes {
  return Object.fromEntries(
    pairs.map((pair) => {
      const [value = new Fields(new Uint8Array())] = pair.messages(2);
      if (value.has(1)) return [pair.text(1), value.text(1)];
      return [pair.text(1), value.has(2) ? value.number(2) === 1n : value.number(3)];
    }),
  );
}
