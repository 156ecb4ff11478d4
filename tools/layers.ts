/** Which part of src/ and of console/src/ may import what, and how an import that breaks the rules is found. */
import { builtinModules } from "node:module";
import { posix } from "node:path";
import { parseSync, Visitor } from "oxc-parser";

/**
 * Rooms of src/ (folders, and modules beside them) from top to bottom; each imports from its own tier and from those
 * below.
 */
const tiers: readonly (readonly string[])[] = [
  ["main"],
  ["cli"],
  ["workers"],
  ["service"],
  ["metrics", "tracing"],
  ["admin", "agent-callback"],
  ["rpc", "receivers"],
  ["seed", "agent", "simulate"],
  ["db"],
  ["contract", "config", "tls"],
  ["base"],
];

/** Rooms that never import one another although they share a tier. */
const apart: readonly string[] = ["admin", "agent-callback"];

/** Imports that a room must do without, by the names that `nameTarget` gives. */
const bans: readonly { room: string; target: RegExp; reason: string }[] = [
  {
    room: "db",
    target: /^(?:gen|fastify|@fastify\/.*|@connectrpc\/.*|@bufbuild\/.*)$/,
    reason: "the database knows nothing of the wire; messages cross as bytes",
  },
  { room: "agent", target: /^src\/db$/, reason: "the client library works without a database" },
  { room: "contract", target: /^node:/, reason: "identities are proved and checked in browsers too" },
];

/** Packages that one room hides from all others. */
const owned: readonly { target: RegExp; room: string }[] = [
  { target: /^(?:drizzle-orm|pg|pg-.*)$/, room: "db" },
  { target: /^prom-client$/, room: "metrics" },
  { target: /^@opentelemetry\/.*$/, room: "tracing" },
];

/** What browsers load, and the packages that it may reach; nothing of Node, and nothing that needs Node. */
const browser = {
  entry: "src/agent/browser.ts",
  packages: /^(?:@bufbuild\/protobuf|@connectrpc\/connect|@connectrpc\/connect-web|@noble\/.*|structured-headers)$/,
};

/** What the console imports besides packages: itself, the contracts, what both sides must agree on, and documents. */
const consoleTargets = /^(?:console|docs|gen|src\/contract)$/;

/**
 * Modules that may import what only running them tells: each platform has a package of its own with PostgreSQL's
 * programs, and only a clone has what makes its console.
 */
const computing: readonly string[] = ["src/db/embedded/binaries.ts", "src/service/console-files.ts"];
const computed = "(computed)";

interface Import {
  readonly from: string;
  readonly line: number;
  /** As written, or `computed`. */
  readonly specifier: string;
  /** Path from the root of the repository; absent for packages. */
  readonly path: string | undefined;
}

/**
 * One line for each import of `sources` that breaks a rule, type imports included. `sources` maps paths from the root
 * of the repository, below src/, console/src/ and gen/, to contents.
 */
export function findViolations(sources: ReadonlyMap<string, string>): string[] {
  const imports = new Map([...sources].map(([file, source]) => [file, listImports(file, source)]));
  const fromSrc = [...imports.values()].flat().filter(({ from }) => from.startsWith("src/"));
  const strangers = new Set(
    [...sources.keys()].filter((file) => file.startsWith("src/") && tierOf(roomOf(file)) === -1),
  );
  return [
    ...[...strangers].map((file) => `${file}: "${roomOf(file)}" has no place among the tiers of tools/layers.ts`),
    ...fromSrc.flatMap((found) => judge(found).map((reason) => describe(found, reason))),
    ...findBrowserViolations(imports),
    ...findConsoleViolations([...imports.values()].flat().filter(({ from }) => from.startsWith("console/"))),
  ];
}

/**
 * One line for each room that the rules name and that has no file among `files`, paths from the root of the repository.
 */
export function findEmptyRooms(files: Iterable<string>): string[] {
  const rooms = new Set([...files].filter((file) => file.startsWith("src/")).map(roomOf));
  const named = [...tiers.flat(), ...apart, ...bans.map(({ room }) => room), ...owned.map(({ room }) => room)];
  return [...new Set(named)]
    .filter((room) => !rooms.has(room))
    .map((room) => `src/${room}: tools/layers.ts has rules for it, and it has no files`);
}

function judge(found: Import): string[] {
  const room = roomOf(found.from);
  const target = nameTarget(found);
  const targetRoom = target.startsWith("src/") ? target.slice("src/".length) : undefined;
  const reasons: string[] = [];
  if (target === computed && !computing.includes(found.from)) reasons.push("only running it would tell what that is");
  if (["outside", "console", "docs"].includes(target)) reasons.push("src imports from src, gen and package.json only");
  if (targetRoom !== undefined && tierOf(targetRoom) !== -1 && tierOf(targetRoom) < tierOf(room)) {
    reasons.push(`${room} lies below ${targetRoom}`);
  }
  if (targetRoom !== undefined && targetRoom !== room && apart.includes(room) && apart.includes(targetRoom)) {
    reasons.push(`${room} and ${targetRoom} never import one another`);
  }
  for (const ban of bans) if (ban.room === room && ban.target.test(target)) reasons.push(ban.reason);
  for (const owner of owned) {
    if (owner.room !== room && owner.target.test(target)) reasons.push(`only src/${owner.room} imports it`);
  }
  return reasons;
}

function findBrowserViolations(imports: ReadonlyMap<string, readonly Import[]>): string[] {
  const violations: string[] = [];
  const reached = new Set([browser.entry]);
  for (const file of reached) {
    for (const found of imports.get(file) ?? []) {
      if (found.path !== undefined) reached.add(found.path.replace(/\.js$/, imports.has(found.path) ? ".js" : ".ts"));
      else if (!browser.packages.test(nameTarget(found)))
        violations.push(describe(found, `${browser.entry} reaches it`));
    }
  }
  return violations;
}

function findConsoleViolations(imports: readonly Import[]): string[] {
  return imports.flatMap((found) => {
    const target = nameTarget(found);
    const isPackage = found.path === undefined && !target.startsWith("node:") && target !== computed;
    if (consoleTargets.test(target) || isPackage) return [];
    return [describe(found, "the console imports itself, gen, src/contract, docs and packages for browsers only")];
  });
}

function describe(found: Import, reason: string): string {
  return `${found.from}:${found.line}: imports ${found.specifier}, but ${reason}`;
}

/** `src/<room>`, another folder, `package.json`, `outside`, `node:<module>` or a package; `computed` stays as it is. */
function nameTarget({ path, specifier }: Import): string {
  if (path !== undefined) {
    if (path.startsWith("src/")) return `src/${roomOf(path)}`;
    if (path.startsWith("gen/")) return "gen";
    if (path.startsWith("console/")) return "console";
    if (path.startsWith("docs/")) return "docs";
    return path === "package.json" ? path : "outside";
  }
  if (specifier.startsWith("node:")) return specifier;
  const [scope = "", name] = specifier.split("/");
  const packageName = scope.startsWith("@") ? `${scope}/${name}` : scope;
  return builtinModules.includes(packageName) ? `node:${packageName}` : packageName;
}

function roomOf(file: string): string {
  return (file.split("/")[1] ?? "").replace(/\.\w+$/, "");
}

function tierOf(room: string): number {
  return tiers.findIndex((tier) => tier.includes(room));
}

function listImports(from: string, source: string): Import[] {
  const { program, errors } = parseSync(from, source);
  const [error] = errors;
  if (error !== undefined) throw new Error(`${from}: ${error.message}`);
  const imports: Import[] = [];
  const add = (node: { start: number }, request: { type: string; value?: unknown } | null) => {
    if (request === null) return;
    const line = source.slice(0, node.start).split("\n").length;
    const specifier = typeof request.value === "string" ? request.value : computed;
    const path = specifier.startsWith(".") ? posix.join(posix.dirname(from), specifier) : undefined;
    imports.push({ from, line, specifier, path });
  };
  new Visitor({
    ImportDeclaration: (node) => add(node, node.source),
    ExportNamedDeclaration: (node) => add(node, node.source),
    ExportAllDeclaration: (node) => add(node, node.source),
    ImportExpression: (node) => add(node, node.source),
    TSImportType: (node) => add(node, node.source),
  }).visit(program);
  return imports;
}
