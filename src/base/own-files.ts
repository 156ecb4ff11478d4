/** Finds this program's own files. */
import { existsSync } from "node:fs";

/**
 * The folder of this clone or package, with a slash at its end. Sources, compiled files and a bundle lie at different
 * depths in it.
 */
export const ownFolder: URL = findPackage(new URL(".", import.meta.url));

function findPackage(folder: URL): URL {
  const above = new URL("..", folder);
  if (existsSync(new URL("package.json", folder)) || above.href === folder.href) return folder;
  return findPackage(above);
}
