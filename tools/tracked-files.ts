/** Which files belong into the repository. */

/** A tracked file and its size. */
export interface TrackedFile {
  /** From the root of the repository. */
  readonly path: string;
  readonly bytes: number;
}

/** Most that a file may have, unless its row says otherwise. */
const maxBytes = 250_000;

/** Every file that belongs into the repository fits one row, which says what it is there for. */
const rows: readonly { readonly path: RegExp; readonly purpose: string; readonly maxBytes?: number }[] = [
  { path: /^(src|tests|bench|fuzz|tools)\/.*\.ts$/, purpose: "the program, its tests, benches, fuzzer and tools" },
  { path: /^console\/src\/.*\.(tsx?|css|svg)$/, purpose: "the console" },
  {
    path: /^console\/(index\.html|README\.md|tsconfig\.json|vite\.config\.ts)$/,
    purpose: "where the console begins, and how it is built",
  },
  { path: /^[a-z.]+\.config\.ts$/, purpose: "settings of a tool that reads them as TypeScript" },
  { path: /^(biome|knip|tsconfig|tsconfig\.build)\.json$/, purpose: "settings of a tool" },
  { path: /^buf(\.gen)?\.yaml$/, purpose: "settings of buf" },
  { path: /^\.(editorconfig|gitattributes|gitignore|npmrc|nvmrc)$/, purpose: "settings of editors, git, npm and nvm" },
  { path: /^package\.json$/, purpose: "the package, its dependencies and scripts" },
  { path: /^package-lock\.json$/, purpose: "the exact dependencies", maxBytes: 1_000_000 },
  { path: /^\.ci\/run$/, purpose: "what a build server runs" },
  { path: /^(README|CHANGELOG|CONTRIBUTING|SECURITY)\.md$/, purpose: "where a reader looks first" },
  { path: /^LICENSE$/, purpose: "the license" },
  { path: /^bin\/[a-z]+\.js$/, purpose: "what npm installs as a command" },
  { path: /^proto\/.*\.proto$/, purpose: "the contracts" },
  { path: /^gen\/.*_pb\.(js|d\.ts)$/, purpose: "what buf makes of the contracts" },
  { path: /^tools\/netboot\/root\/etc\/[a-z/.-]+$/, purpose: "what a machine that boots from the network runs" },
  { path: /^tools\/released-contract\.binpb$/, purpose: "the contracts of the last release, for buf breaking" },
  { path: /^drizzle\/(\d{4}_\w+\.sql|meta\/(_journal|\d{4}_snapshot)\.json)$/, purpose: "migrations" },
  { path: /^docs\/.*\.(md|svg)$/, purpose: "documentation and its pictures" },
  { path: /^docs\/console\/[a-z-]+\.png$/, purpose: "pictures of the console" },
  { path: /^docs\/(grafana|prometheus)\/\w+\.(json|yaml)$/, purpose: "dashboard and rules to start from" },
  { path: /^examples\/\w+\.yaml$/, purpose: "examples that the documentation names" },
  { path: /^findings\/[a-z-]+\.sh$/, purpose: "behaviour of other software that one would not guess, shown" },
  { path: /^bench\/[a-z-]+\.sql$/, purpose: "rows for benches and tests" },
  {
    path: /^bench\/peers\/([a-z]+\.go|gen\/.*\.pb\.go|go\.(mod|sum)|buf\.gen\.yaml)$/,
    purpose: "servers in Go, to compare with",
  },
  {
    path: /^tests\/conformance\/((proto|gen)\/.*\.(proto|js)|relay\.js|\w+(\.gen)?\.yaml)$/,
    purpose: "what Connect's conformance suite is run with",
  },
];

/** Returns one line for each file that no row explains or that is too large, and for each row that explains no file. */
export function findUnexplainedFiles(files: readonly TrackedFile[]): string[] {
  const unused = rows.filter(({ path }) => !files.some((file) => path.test(file.path)));
  return [
    ...files.flatMap(judge),
    ...unused.map(
      ({ path, purpose }) => `${path.source} (${purpose}): tools/tracked-files.ts explains it, and it has no files`,
    ),
  ];
}

function judge({ path, bytes }: TrackedFile): string[] {
  const row = rows.find((each) => each.path.test(path));
  if (row === undefined) {
    return [`${path}: nothing in tools/tracked-files.ts explains this file: remove it, or say there what it is for`];
  }
  const limit = row.maxBytes ?? maxBytes;
  return bytes > limit ? [`${path}: ${bytes} bytes are more than the ${limit} that a file may have`] : [];
}

/** Maximum width of a comment's line in columns, as in .editorconfig; the formatter breaks code, but no comments. */
const maxCommentWidth = 120;

/** Returns a complaint about each line of a TypeScript or protobuf file that is a comment and is too wide. */
export function findWideComments(path: string, text: string): string[] {
  if (!/\.(tsx?|css|proto)$/.test(path) || /(^|\/)gen\//.test(path)) return [];
  return text.split("\n").flatMap((line, index) => {
    const isWide = line.length > maxCommentWidth && /^\s*(\/\/|\/?\*)/.test(line);
    return isWide ? [`${path}:${index + 1}: the comment is wider than ${maxCommentWidth} columns: break its line`] : [];
  });
}
