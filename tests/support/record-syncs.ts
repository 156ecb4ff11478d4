/** Records what a test's process flushes to disk. */
import { type FileHandle, open } from "node:fs/promises";
import { onTestFinished } from "vitest";

/**
 * Returns a list that grows by an entry for every flush by a FileHandle until the test is over: "file" or "folder", and
 * what `describe` returns at that time.
 */
export async function recordSyncs(describe: () => string): Promise<readonly string[]> {
  const syncs: string[] = [];
  await using handle = await open("/dev/null");
  const methods = Object.getPrototypeOf(handle) as Pick<FileHandle, "sync">;
  const { sync } = methods;
  methods.sync = async function (this: FileHandle) {
    const what = (await this.stat()).isDirectory() ? "folder" : "file";
    syncs.push(`${what}: ${describe()}`);
    await sync.call(this);
  };
  onTestFinished(() => {
    methods.sync = sync;
  });
  return syncs;
}
