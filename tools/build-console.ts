/** Builds the console. `npm run build` makes the one that the package comes with. */
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { build, type Plugin } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What decides about the build without being in it. */
const settings = [
  "console/index.html",
  "console/vite.config.ts",
  "console/tsconfig.json",
  "package.json",
  "tools/build-console.ts",
  "tools/clone-console.ts",
  "tools/kept-build.ts",
];

/**
 * Writes the console into `folder`, with compressed copies of what is text. Returns what another build would come of
 * when it changed: files and folders, as paths from the root of the clone.
 */
export async function buildConsole(folder: string): Promise<string[]> {
  const modules = new Set<string>();
  await inProduction(() =>
    build({
      configFile: join(root, "console", "vite.config.ts"),
      logLevel: "error",
      build: { outDir: folder, emptyOutDir: true },
      plugins: [recordModules(modules)],
    }),
  );
  await compressFiles(folder);
  const files = [...modules].map((id) => relative(root, id).replaceAll("\\", "/"));
  const own = files.filter((file) => !file.includes("node_modules/") && !file.startsWith(".."));
  // The many files of packages change only with the package's own description.
  const packages = new Set(files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []));
  const described = [...packages].map((path) => `${path}/package.json`);
  // Styles that others import, and pictures, are no modules.
  const sources = globSync("console/src/**/*.*", { cwd: root }).map((file) => file.replaceAll("\\", "/"));
  return [...new Set([...settings, ...sources, ...own, ...described])].filter((file) => existsSync(join(root, file)));
}

/** Builds what browsers get also where NODE_ENV says something else, as in tests: React is larger and slower then. */
async function inProduction(run: () => Promise<unknown>): Promise<void> {
  const former = process.env.NODE_ENV;
  process.env.NODE_ENV = "production";
  try {
    await run();
  } finally {
    if (former === undefined) delete process.env.NODE_ENV;
    else process.env.NODE_ENV = former;
  }
}

/** Adds the absolute path of each module of the build to `modules`. */
function recordModules(modules: Set<string>): Plugin {
  return {
    name: "record-modules",
    buildEnd() {
      for (const id of this.getModuleIds())
        if (id.startsWith("/") || /^[a-z]:/i.test(id)) modules.add(withoutQuery(id));
    },
  };
}

function withoutQuery(id: string): string {
  return id.replace(/[?#].*$/, "");
}

const [compressGzip, compressBrotli] = [promisify(gzip), promisify(brotliCompress)];

/** So that the server compresses nothing while it serves. */
async function compressFiles(folder: string): Promise<void> {
  const files = globSync("assets/*.{js,css,svg}", { cwd: folder });
  const params = { [constants.BROTLI_PARAM_QUALITY]: 9 };
  await Promise.all(
    files.map(async (name) => {
      const file = join(folder, name);
      const content = readFileSync(file);
      const [gz, br] = await Promise.all([compressGzip(content, { level: 9 }), compressBrotli(content, { params })]);
      writeFileSync(`${file}.gz`, gz);
      writeFileSync(`${file}.br`, br);
    }),
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = join(root, "dist", "console");
  rmSync(folder, { recursive: true, force: true });
  await buildConsole(folder);
}
