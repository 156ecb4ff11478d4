/**
 * Parses the part of PromQL (prometheus.io/docs/prometheus/latest/querying/basics) that the project's rules and
 * dashboards use, and finds the labels of the result. Throws for everything else, so that typing mistakes are found.
 */

/** A selector of an expression. */
export interface Selector {
  readonly metric: string;
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[];
}

/** Contents of a parsed expression. */
export interface Query {
  readonly selectors: readonly Selector[];
  /** Labels by which the expression groups, matches or joins, each with the labels that exist there. */
  readonly uses: readonly { readonly label: string; readonly of: ReadonlySet<string> }[];
  /** Labels of the result. */
  readonly labels: ReadonlySet<string>;
}

const aggregations = new Set(["sum", "max", "min", "avg", "count"]);
/** Functions, with whether each takes a range. */
const functions = new Map([
  ["rate", true],
  ["increase", true],
  ["histogram_quantile", false],
  ["absent", false],
  ["vector", false],
]);
const tokens =
  /\s*(?:(\d+(?:\.\d+)?(?![\w.]))|"((?:[^"\\]|\\.)*)"|(\$?[a-zA-Z_:][\w:]*)|(=~|!~|!=|==|>=|<=|[-+*/><=(){}[\],])|(\d+[smhdw]))/y;

type Token = { readonly kind: "number" | "string" | "name" | "symbol" | "duration"; readonly text: string };

/** Parses an expression. `labelsOf` returns the labels of a metric, or undefined if the metric does not exist. */
export function readQuery(text: string, labelsOf: (metric: string) => ReadonlySet<string> | undefined): Query {
  return new Reader(tokenize(text), labelsOf).readAll();
}

function tokenize(text: string): Token[] {
  const found: Token[] = [];
  tokens.lastIndex = 0;
  while (text.slice(tokens.lastIndex).trim() !== "") {
    const at = tokens.lastIndex;
    const match = tokens.exec(text);
    if (match === null) throw new Error(`not PromQL: ${text.slice(at)}`);
    const kinds = ["number", "string", "name", "symbol", "duration"] as const;
    const index = match.slice(1).findIndex((part) => part !== undefined);
    found.push({ kind: kinds[index] ?? "symbol", text: match[index + 1] ?? "" });
  }
  return found;
}

class Reader {
  readonly #tokens: Token[];
  readonly #labelsOf: (metric: string) => ReadonlySet<string> | undefined;
  readonly #selectors: Selector[] = [];
  readonly #uses: { label: string; of: ReadonlySet<string> }[] = [];

  constructor(all: Token[], labelsOf: (metric: string) => ReadonlySet<string> | undefined) {
    this.#tokens = all;
    this.#labelsOf = labelsOf;
  }

  readAll(): Query {
    const labels = this.#expression();
    if (this.#tokens.length > 0)
      throw new Error(`not PromQL from here: ${this.#tokens.map(({ text }) => text).join(" ")}`);
    return { selectors: this.#selectors, uses: this.#uses, labels };
  }

  #peek(text: string): boolean {
    const [next] = this.#tokens;
    return next !== undefined && next.kind !== "string" && next.text === text;
  }

  #skip(text: string): boolean {
    const is = this.#peek(text);
    if (is) this.#tokens.shift();
    return is;
  }

  #take(kind: Token["kind"], text?: string): string {
    const next = this.#tokens.shift();
    if (next?.kind !== kind || (text !== undefined && next.text !== text)) {
      throw new Error(`expected ${text ?? kind}, found ${next?.text ?? "the end"}`);
    }
    return next.text;
  }

  #expression(): ReadonlySet<string> {
    const left = this.#operand();
    const operator = ["-", "+", "*", "/", ">", "<", "==", "!=", ">=", "<=", "and", "or"].find((each) =>
      this.#skip(each),
    );
    if (operator === undefined) return left;
    const on = this.#skip("on") ? this.#labelList() : undefined;
    const taken = this.#skip("group_left") && this.#peek("(") ? this.#labelList() : [];
    const right = this.#expression();
    for (const label of on ?? []) this.#uses.push({ label, of: left }, { label, of: right });
    for (const label of taken) this.#uses.push({ label, of: right });
    if (operator === "or") return new Set([...left].filter((label) => right.has(label) || right.size === 0));
    return new Set([...left, ...taken]);
  }

  #operand(): ReadonlySet<string> {
    if (this.#skip("(")) {
      const inner = this.#expression();
      this.#take("symbol", ")");
      return inner;
    }
    if (this.#tokens[0]?.kind === "number") {
      this.#take("number");
      return new Set();
    }
    const name = this.#take("name");
    if (aggregations.has(name)) return this.#aggregation();
    const takesRange = functions.get(name);
    if (takesRange !== undefined) return this.#call(name, takesRange);
    return this.#selector(name);
  }

  #aggregation(): ReadonlySet<string> {
    const by = this.#skip("by") ? this.#labelList() : [];
    this.#take("symbol", "(");
    const inner = this.#expression();
    this.#take("symbol", ")");
    for (const label of by) this.#uses.push({ label, of: inner });
    return new Set(by);
  }

  #call(name: string, takesRange: boolean): ReadonlySet<string> {
    this.#take("symbol", "(");
    if (name === "histogram_quantile") {
      this.#take("number");
      this.#take("symbol", ",");
    }
    const labels = this.#expression();
    if (takesRange) {
      this.#take("symbol", "[");
      if (this.#tokens[0]?.kind === "duration") this.#take("duration");
      else this.#take("name", "$__rate_interval");
      this.#take("symbol", "]");
    }
    this.#take("symbol", ")");
    if (name === "histogram_quantile") this.#uses.push({ label: "le", of: labels });
    return new Set([...labels].filter((label) => name !== "histogram_quantile" || label !== "le"));
  }

  #selector(metric: string): ReadonlySet<string> {
    const labels = this.#labelsOf(metric);
    if (labels === undefined) throw new Error(`there is no metric ${metric}`);
    const matchers = [];
    if (this.#skip("{")) {
      do {
        const label = this.#take("name");
        const operator = this.#take("symbol");
        if (!["=", "!=", "=~", "!~"].includes(operator)) throw new Error(`${operator} compares no labels`);
        matchers.push({ label, operator, value: this.#take("string") });
        this.#uses.push({ label, of: labels });
      } while (this.#skip(","));
      this.#take("symbol", "}");
    }
    this.#selectors.push({ metric, matchers });
    return labels;
  }

  #labelList(): string[] {
    this.#take("symbol", "(");
    const labels = [this.#take("name")];
    while (this.#skip(",")) labels.push(this.#take("name"));
    this.#take("symbol", ")");
    return labels;
  }
}
