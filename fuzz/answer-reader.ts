/**
 * Reads the answers of HTTP/1.1 off a connection (RFC 9112), with a strictness that notices what clients would choke
 * on.
 */

/** One final answer. */
export interface Answer {
  readonly status: number;
  /** In lower case, without the status line. */
  readonly head: string;
  /** Whether the connection ends with it. */
  readonly closes: boolean;
}

/** What is to be read next. */
type State = "head" | "body" | "chunkSize" | "chunk" | "trailers" | "rest";

const shownBytes = 80;

/** Takes bytes as they come. */
export class AnswerReader {
  /** Those that are whole. */
  readonly answers: Answer[] = [];
  /** Says what came instead of an answer, once it has. */
  trouble: string | undefined;
  readonly #methods: string[];
  #state: State = "head";
  #buffered: Buffer = Buffer.alloc(0);
  #leftBytes = 0;
  #current: Answer | undefined;

  /** The methods of the requests that are answered, in their order: an answer to HEAD has no body. */
  constructor(methods: readonly string[]) {
    this.#methods = [...methods];
  }

  take(bytes: Buffer): void {
    if (this.trouble !== undefined) return;
    this.#buffered = this.#buffered.length === 0 ? bytes : Buffer.concat([this.#buffered, bytes]);
    while (this.#step());
  }

  /** Whether there was enough to get on by. */
  #step(): boolean {
    switch (this.#state) {
      case "head":
        return this.#readHead();
      case "body":
      case "chunk":
        return this.#skipBody();
      case "chunkSize":
        return this.#readChunkSize();
      case "trailers": {
        const line = this.#takeThrough("\r\n");
        if (line === "") this.#finish();
        return line !== undefined;
      }
      case "rest":
        this.#buffered = Buffer.alloc(0);
        return false;
    }
  }

  #readHead(): boolean {
    const text = this.#takeThrough("\r\n\r\n");
    if (text === undefined) return false;
    const [, status] = /^HTTP\/1\.1 (\d{3}) [^\r\n]*(?:\r\n[\w-]+:[^\r\n]*)*$/.exec(text) ?? [];
    if (status === undefined) return this.#stumble("head of an answer", text);
    if (status.startsWith("1")) return true;
    const head = text.slice(text.indexOf("\r\n") + 2).toLowerCase();
    this.#current = { status: Number(status), head, closes: /^connection: *close$/m.test(head) };
    const [, length] = /^content-length: *(\d+)$/m.exec(head) ?? [];
    if (this.#methods.shift() === "HEAD" || status === "204" || status === "304") this.#finish();
    else if (/^transfer-encoding: *chunked$/m.test(head)) this.#state = "chunkSize";
    else if (length === undefined) this.#state = "rest";
    else {
      this.#leftBytes = Number(length);
      this.#state = "body";
    }
    return true;
  }

  #readChunkSize(): boolean {
    const line = this.#takeThrough("\r\n");
    if (line === undefined) return false;
    if (!/^[0-9a-f]+$/i.test(line)) return this.#stumble("length of a chunk", line);
    const size = Number.parseInt(line, 16);
    this.#state = size === 0 ? "trailers" : "chunk";
    this.#leftBytes = size + 2;
    return true;
  }

  #skipBody(): boolean {
    const taken = Math.min(this.#leftBytes, this.#buffered.length);
    this.#leftBytes -= taken;
    this.#buffered = this.#buffered.subarray(taken);
    if (this.#leftBytes > 0) return false;
    if (this.#state === "body") this.#finish();
    else this.#state = "chunkSize";
    return true;
  }

  #stumble(expected: string, text: string): false {
    this.trouble = `instead of a ${expected} came ${JSON.stringify(text.slice(0, shownBytes))}`;
    return false;
  }

  #finish(): void {
    if (this.#current !== undefined) this.answers.push(this.#current);
    this.#current = undefined;
    this.#state = "head";
  }

  /** The text up to the delimiter, which is taken as well; undefined while that has not come. */
  #takeThrough(delimiter: string): string | undefined {
    const end = this.#buffered.indexOf(delimiter);
    if (end === -1) return undefined;
    const text = this.#buffered.toString("latin1", 0, end);
    this.#buffered = this.#buffered.subarray(end + delimiter.length);
    return text;
  }
}
