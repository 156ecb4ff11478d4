/** Words zod's issues about a value's type in terms of the file, not of the program. */
import type { z } from "zod";

/** Returns the message for one of zod's issues, or undefined to use the schema's own message. */
export function explainIssue(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return explainType(issue.expected, issue.input);
    case "invalid_value":
      if (issue.input === undefined) return "is missing";
      return `is not one of ${issue.values.map(String).join(", ")}`;
    case "invalid_key":
      return issue.issues[0]?.message;
    default:
      return undefined;
  }
}

function explainType(expected: string, input: unknown): string {
  if (input === undefined) return "is missing";
  if (input === null) return "is empty; give it a value or leave it out";
  if (expected === "string" && isPlain(input)) {
    return `is a ${typeof input === "boolean" ? "boolean" : "number"} in YAML, which may change how it is written; put it in quotes`;
  }
  return `is ${nameType(input)}; expected ${names[expected] ?? expected}`;
}

function isPlain(input: unknown): boolean {
  return typeof input === "bigint" || typeof input === "number" || typeof input === "boolean";
}

function nameType(input: unknown): string {
  if (Array.isArray(input)) return "a list";
  if (typeof input === "object") return "a group of fields";
  return typeof input === "string" ? "a string" : "a plain value";
}

const names: Readonly<Record<string, string>> = {
  string: "a string",
  object: "a group of fields",
  array: "a list",
};
