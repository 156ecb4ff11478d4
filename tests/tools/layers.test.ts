import { describe, expect, test } from "vitest";
import { findEmptyRooms, findViolations } from "../../tools/layers.ts";

function violationsOf(file: string, source: string, others: Record<string, string> = {}): string[] {
  return findViolations(new Map([[file, source], ...Object.entries(others)]));
}

describe("an import is refused", () => {
  test.each([
    ["upward", "src/db/client.ts", `import { a } from "../rpc/limits.ts";`, "db lies below rpc"],
    ["upward from the transport", "src/rpc/a.ts", `import "../admin/a.ts";`, "rpc lies below admin"],
    ["upward from a handler", "src/admin/a.ts", `import "../metrics/a.ts";`, "admin lies below metrics"],
    ["upward as a type", "src/db/client.ts", `import type { A } from "../service.ts";`, "db lies below service"],
    ["upward as one type of several", "src/seed/a.ts", `import { type A } from "../cli/a.ts";`, "seed lies below cli"],
    ["upward as the type of an import", "src/agent/a.ts", `let a: import("../rpc/a.ts").A;`, "agent lies below rpc"],
    ["upward when run", "src/tls/a.ts", `await import("../db/client.ts");`, "tls lies below db"],
    ["upward by passing on", "src/rpc/a.ts", `export { a } from "../main.ts";`, "rpc lies below main"],
    ["upward by passing all on", "src/contract/a.ts", `export * from "../agent/a.ts";`, "contract lies below agent"],
    ["upward for its effect", "src/config/config.ts", `import "../db/client.ts";`, "config lies below db"],
    ["upward from within", "src/db/queries/a.ts", `import "../../seed/a.ts";`, "db lies below seed"],
    ["between handlers", "src/admin/a.ts", `import "../agent-callback/a.ts";`, "admin and agent-callback never"],
    ["between handlers", "src/agent-callback/a.ts", `import type {} from "../admin/a.ts";`, "never import one another"],
    [
      "of generated code by db",
      "src/db/a.ts",
      `import type { A } from "../../gen/a_pb.js";`,
      "messages cross as bytes",
    ],
    ["of fastify by db", "src/db/a.ts", `import type { A } from "fastify";`, "messages cross as bytes"],
    [
      "of connect by db",
      "src/db/a.ts",
      `import { Code } from "@connectrpc/connect/protocol";`,
      "messages cross as bytes",
    ],
    ["of drizzle outside db", "src/admin/a.ts", `import { eq } from "drizzle-orm/pg-core";`, "only src/db imports it"],
    ["of the driver outside db", "src/main.ts", `import type { Pool } from "pg";`, "only src/db imports it"],
    ["of db by the client library", "src/agent/a.ts", `import "../db/errors.ts";`, "works without a database"],
    ["of Node by the contract", "src/contract/a.ts", `import { sign } from "node:crypto";`, "in browsers too"],
    ["of Node by its old name", "src/contract/a.ts", `import type { Stats } from "fs";`, "in browsers too"],
    ["of a computed name", "src/db/a.ts", "await import(name);", "only running it would tell"],
    ["of a test", "src/db/a.ts", `import "../../tests/support/a.ts";`, "from src, gen and package.json only"],
    ["of Node by browsers", "src/agent/browser.ts", `import "node:os";`, "src/agent/browser.ts reaches it"],
    ["of Node's types by browsers", "src/agent/browser.ts", `import type {} from "node:os";`, "reaches it"],
    ["of what needs Node by browsers", "src/agent/browser.ts", `import "@connectrpc/connect-node";`, "reaches it"],
    ["of the server by the console", "console/src/a.tsx", `import "../../src/db/client.ts";`, "the console imports"],
    ["of Node by the console", "console/src/a.tsx", `import "node:os";`, "the console imports itself, gen"],
    ["of documents by the server", "src/rpc/a.ts", `import "../../docs/a.md";`, "src, gen and package.json"],
    ["of the console by the server", "src/rpc/a.ts", `import "../../console/src/a.tsx";`, "src, gen and package.json"],
  ])("%s: %s %s", (_rule, file, source, reason) => {
    const violations = violationsOf(file, `\n${source}\n`);
    expect(violations).toEqual([expect.stringContaining(reason)]);
    expect(violations[0]).toContain(`${file}:2: imports `);
  });

  test("of Node by browsers, however far away", () => {
    const violations = violationsOf("src/agent/browser.ts", `export { a } from "./a.ts";`, {
      "src/agent/a.ts": `import { b } from "../../gen/b_pb.js";`,
      "gen/b_pb.js": `import { c } from "node:path";`,
    });
    expect(violations).toEqual(["gen/b_pb.js:1: imports node:path, but src/agent/browser.ts reaches it"]);
  });
});

test("a room that the rules name and that has no files is told", () => {
  const files = ["src/main.ts", "src/cli/program.ts"];
  const empty = findEmptyRooms(files);
  expect(empty).toContain("src/db: tools/layers.ts has rules for it, and it has no files");
  expect(empty.some((line) => line.startsWith("src/cli:") || line.startsWith("src/main:"))).toBe(false);
});

describe("an import is allowed", () => {
  test.each([
    ["downward", "src/main.ts", `import "./cli/serve.ts"; import "./db/client.ts";`],
    ["within a room", "src/admin/a.ts", `import "./b.ts"; import "../admin/c.ts";`],
    ["within a tier", "src/metrics/a.ts", `import "../tracing/a.ts";`],
    ["of drizzle by db", "src/db/schema/a.ts", `import { pgTable } from "drizzle-orm/pg-core"; import pg from "pg";`],
    ["of generated code by handlers", "src/admin/a.ts", `import "../../gen/a_pb.js";`],
    ["of the package's own description", "src/main.ts", `import a from "../package.json" with { type: "json" };`],
    ["of Node by the client library", "src/agent/a.ts", `import "node:os";`],
    ["of what browsers run", "src/agent/browser.ts", `import "@noble/ed25519"; import "@connectrpc/connect-web";`],
    ["of contracts by the console", "console/src/a.tsx", `import "@api/a_pb.js"; import "../../src/contract/a.ts";`],
    ["of documents by the console", "console/src/a.tsx", `import text from "../../docs/a.md?raw";`],
    [
      "of packages by the console",
      "console/src/pages/a.tsx",
      `import "../ui/a.css"; import { useState } from "react";`,
    ],
  ])("%s: %s %s", (_rule, file, source) => {
    expect(violationsOf(file, source)).toEqual([]);
  });
});

test("a room without a place among the tiers is refused", () => {
  expect(violationsOf("src/utils/a.ts", "")).toEqual([expect.stringContaining('"utils" has no place among the tiers')]);
});

test("a file that does not parse is named", () => {
  expect(() => violationsOf("src/db/a.ts", "import {")).toThrow("src/db/a.ts: ");
});
