import { expect, test } from "vitest";
import { SeedWrittenError, toSeededFleet } from "../../src/seed/seeded-fleet.ts";

/** Outcomes of which the first one can be read back. */
const spool = {
  async *lines() {
    yield "0\t1\t4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11\tf\tc-----\t\\N\t\\N";
    throw new Error("EIO: i/o error, read");
  },
  [Symbol.asyncDispose]: async () => {},
};

async function drain(dryRun: boolean): Promise<void> {
  for await (const machine of toSeededFleet(spool, dryRun).list()) expect(machine.index).toBe(0);
}

test("outcomes that cannot be read back after the commit say that the seed was written", async () => {
  const listed = drain(false);
  await expect(listed).rejects.toThrow(
    new SeedWrittenError("its outcomes cannot be listed", new Error("EIO: i/o error, read")),
  );
  await expect(listed).rejects.toThrow(
    /^the seed was written, but its outcomes cannot be listed: EIO: .*; to see the state, seed again, which changes nothing$/,
  );
});

test("those of a dry run do not", async () => {
  await expect(drain(true)).rejects.toThrow(/^EIO/);
});
