/** Where this program's own files are. */
import { existsSync } from "node:fs";

/** The folder of this clone or package, with a slash at its end. The sources, the compiled files and a bundle lie at depths of their own in it. */
export const ownFolder: URL = findPackage(new URL(".", import.meta.url));

function findPackage(folder: URL): URL {
  const above = new URL("..", folder);
  if (existsSync(new URL("package.json", folder)) || above.href === folder.href) return folder;
  return findPackage(above);
}
