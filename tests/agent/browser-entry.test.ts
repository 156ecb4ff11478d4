import { readFile } from "node:fs/promises";
import { builtinModules } from "node:module";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const entry = new URL("../../src/agent/browser.ts", import.meta.url);

/** Packages that are made for browsers as well; what they import is their own affair. */
const browserPackages = [
  "@bufbuild/protobuf",
  "@connectrpc/connect",
  "@connectrpc/connect-web",
  "@noble/ed25519",
  "structured-headers",
];

interface ImportGraph {
  readonly files: Set<string>;
  readonly packages: Set<string>;
}

/** Collects all that a module imports at run time, directly or not. */
async function walk(module: URL, graph: ImportGraph): Promise<ImportGraph> {
  if (graph.files.has(module.href)) return graph;
  graph.files.add(module.href);
  const source = await readFile(module, "utf8");
  for (const [, specifier = ""] of source.matchAll(
    /^(?:import|export)\s(?!type\b)[^;]*?from\s+"([^"]+)"|^import\s+"([^"]+)"/gm,
  )) {
    if (specifier.startsWith(".")) await walk(new URL(specifier, module), graph);
    else
      graph.packages.add(
        specifier
          .split("/")
          .slice(0, specifier.startsWith("@") ? 2 : 1)
          .join("/"),
      );
  }
  expect(source, `a dynamic import in ${module.href}`).not.toMatch(/\bimport\(|\brequire\(/);
  return graph;
}

test("the browser's part of the client library imports nothing of Node", async () => {
  const { files, packages } = await walk(entry, { files: new Set(), packages: new Set() });
  expect([...packages].filter((name) => name.startsWith("node:") || builtinModules.includes(name))).toEqual([]);
  expect([...packages].filter((name) => !browserPackages.includes(name))).toEqual([]);
  expect([...packages].sort()).toEqual(browserPackages.filter((name) => packages.has(name)));
  // A walk that found little would prove little.
  expect([...files].map((file) => fileURLToPath(file).split("/").at(-1))).toEqual(
    expect.arrayContaining(["signing-fetch.ts", "agent-signature.ts", "agent_pb.js", "hwreport_pb.js"]),
  );
});

test("the browser's part uses no global of Node", async () => {
  const { files } = await walk(entry, { files: new Set(), packages: new Set() });
  for (const file of files) {
    const code = (await readFile(new URL(file), "utf8")).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    expect(code, file).not.toMatch(/\b(Buffer|process|__dirname|setImmediate)\b/);
  }
});
