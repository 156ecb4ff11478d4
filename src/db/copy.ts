/**
 * COPY from and to this program, as queries of pg (PostgreSQL's protocol, "COPY Operations"). Whatever fails ends the
 * copy with its error: the server, the connection, or who gives or keeps the lines. The connection can be used after
 * it, unless it is lost.
 */
import { once } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
import type pg from "pg";

/** What pg's connections have for COPY, which their types do not show. */
interface CopyConnection extends pg.Connection {
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(reason: string): void;
}

/** A COPY that runs; pg calls its methods when messages come. */
abstract class Copy implements pg.Submittable {
  readonly text: string;
  readonly ended: Promise<void>;
  protected readonly resolve: () => void;
  protected readonly reject: (error: unknown) => void;

  constructor(text: string) {
    this.text = text;
    ({ promise: this.ended, resolve: this.resolve, reject: this.reject } = Promise.withResolvers<void>());
  }

  submit(connection: pg.Connection): void {
    connection.query(this.text);
  }

  /** Called for an error of the server, and when the connection is lost. */
  abstract handleError(error: unknown): void;

  /** Called after the last message of a COPY without an error. */
  abstract handleReadyForQuery(): void;

  handleCommandComplete(): void {}
}

/** Runs `text`, a statement COPY FROM STDIN, with `lines`. */
export async function copyFrom(client: pg.ClientBase, text: string, lines: AsyncIterable<Buffer>): Promise<void> {
  await client.query(new CopyFrom(text, lines)).ended;
}

class CopyFrom extends Copy {
  readonly #lines: AsyncIterable<Buffer>;
  readonly #over = new AbortController();
  #readingError: { readonly error: unknown } | undefined;

  constructor(text: string, lines: AsyncIterable<Buffer>) {
    super(text);
    this.#lines = lines;
  }

  handleCopyInResponse(connection: CopyConnection): void {
    void this.#send(connection);
  }

  /** Sends the lines, at the speed of the server, until the copy is over. */
  async #send(connection: CopyConnection): Promise<void> {
    const { stream } = connection;
    const { signal } = this.#over;
    const isOver = () => signal.aborted || !stream.writable;
    try {
      for await (const chunk of this.#lines) {
        if (isOver()) return;
        connection.sendCopyFromChunk(chunk);
        // What ends the copy meanwhile also ends the waiting.
        if (stream.writableNeedDrain) await once(stream, "drain", { signal }).catch(() => {});
        // While the system takes all at once, there would be no turn of the event loop that reads the server's error.
        await nextTurn();
      }
      if (!isOver()) connection.endCopyFrom();
    } catch (error) {
      if (isOver()) return;
      this.#readingError = { error };
      // The server answers with an error, too.
      connection.sendCopyFail("the lines cannot be read");
    }
  }

  handleError(error: unknown): void {
    this.#over.abort();
    this.reject(this.#readingError === undefined ? error : this.#readingError.error);
  }

  handleReadyForQuery(): void {
    this.resolve();
  }
}

/** Size from which on rows are handed over, in bytes. */
const handOverBytes = 64 * 1024;

/** Runs `text`, a statement COPY TO STDOUT, and has `keep` keep the lines, some of them at a time. */
export async function copyTo(
  client: pg.ClientBase,
  text: string,
  keep: (lines: Buffer) => Promise<void>,
): Promise<void> {
  await client.query(new CopyTo(text, keep)).ended;
}

class CopyTo extends Copy {
  readonly #keep: (lines: Buffer) => Promise<void>;
  #lines: Buffer[] = [];
  #size = 0;
  /** What is being kept, one group after the other. Rejects with the first error. */
  #kept: Promise<void> = Promise.resolve();
  #hasFailed = false;

  constructor(text: string, keep: (lines: Buffer) => Promise<void>) {
    super(text);
    this.#keep = keep;
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }, connection: pg.Connection): void {
    if (this.#hasFailed) return;
    // A copy, since pg writes the next messages where this one is.
    this.#lines.push(Buffer.from(chunk));
    this.#size += chunk.length;
    if (this.#size < handOverBytes) return;
    this.#handOver();
    const goOn = () => void connection.stream.resume();
    connection.stream.pause();
    this.#kept.then(goOn, goOn);
  }

  #handOver(): void {
    const lines = Buffer.concat(this.#lines.splice(0));
    this.#size = 0;
    this.#kept = this.#kept.then(() => this.#keep(lines));
    this.#kept.catch(() => {
      // The server sends the remaining rows nevertheless; they are dropped.
      this.#hasFailed = true;
      this.#lines = [];
    });
  }

  handleError(error: unknown): void {
    const fail = () => this.reject(error);
    this.#kept.then(fail, this.reject);
  }

  handleReadyForQuery(): void {
    this.#handOver();
    this.#kept.then(this.resolve, this.reject);
  }
}
