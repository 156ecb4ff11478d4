/** Reads a server's metrics page as Prometheus does, and checks its text format. */
import { expect } from "vitest";

/** One sample of the page: a line that is not a comment. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One metric of the page. */
export interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
}

/** Contents of a page. */
export interface Scrape {
  readonly families: ReadonlyMap<string, Family>;
  readonly samples: readonly Sample[];
  /**
   * Returns the value of the only sample that has this name and at least these labels, or undefined if there is none.
   */
  find(name: string, labels?: Record<string, string>): number | undefined;
  /** Returns the sum of all samples that have this name and at least these labels. */
  sum(name: string, labels?: Record<string, string>): number;
}

/** Fetches the page. Fails unless the answer is a metrics page. */
export async function scrape(adminUrl: string, secret?: string): Promise<Scrape> {
  const headers = secret === undefined ? {} : { authorization: `Bearer ${secret}` };
  const response = await fetch(`${adminUrl}/metrics`, { headers });
  const text = await response.text();
  expect([response.status, text.slice(0, 200)]).toEqual([200, expect.stringContaining("# HELP")]);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  return parsePage(text);
}

/** Parses the text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats). Throws for anything else. */
export function parsePage(text: string): Scrape {
  const families = new Map<string, Family>();
  const samples: Sample[] = [];
  const helps = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (kind === "HELP") helps.set(name, rest);
    else if (kind === "TYPE") {
      if (families.has(name)) throw new Error(`${name} is there twice`);
      families.set(name, { name, type: rest as Family["type"], help: helps.get(name) ?? "" });
    } else if (line !== "") samples.push(parseSample(line));
  }
  const select = (name: string, labels: Record<string, string> = {}) =>
    samples.filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
  return {
    families,
    samples,
    find: (name, labels) => {
      const found = select(name, labels);
      expect(found.length, `samples of ${name} ${JSON.stringify(labels)}`).toBeLessThan(2);
      return found[0]?.value;
    },
    sum: (name, labels) => select(name, labels).reduce((sum, sample) => sum + sample.value, 0),
  };
}

function parseSample(line: string): Sample {
  const [, name, labelText = "", valueText] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
  const value = valueText === "+Inf" ? Number.POSITIVE_INFINITY : Number(valueText === "Nan" ? Number.NaN : valueText);
  if (name === undefined || (Number.isNaN(value) && valueText !== "Nan")) throw new Error(`not a sample: ${line}`);
  const labels: Record<string, string> = {};
  const rest = labelText.replace(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?/g, (_match, label: string, text: string) => {
    labels[label] = text.replace(/\\(.)/g, (_escape, letter: string) => (letter === "n" ? "\n" : letter));
    return "";
  });
  if (rest !== "") throw new Error(`not labels: ${line}`);
  return { name, labels, value };
}
