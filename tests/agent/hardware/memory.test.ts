/** The memory that is fitted, by the structures that firmware lists modules in (DMTF DSP0134 section 7.18). */
import { describe, expect, test } from "vitest";
import { readMemory } from "../../../src/agent/hardware/memory.ts";
import { layOutSystem, reportOf, type SystemTree } from "../support/system-tree.ts";

const [kibibyte, gibibyte, tebibyte] = [1024, 2 ** 30, 2 ** 40];

const types = { unknown: 0x02, eeprom: 0x0a, flash: 0x09, ddr4: 0x1a, logicalNonVolatile: 0x1f, ddr5: 0x22 } as const;
const technologies = { unknown: 0x02, dram: 0x03, nvdimmN: 0x04, optane: 0x07 } as const;

interface Module {
  readonly bytes: number | "none" | "unknown";
  readonly type?: number;
  /** Absent in structures of versions before 3.2, which end before it. */
  readonly technology?: number;
}

/** A Memory Device structure with its strings. */
function memoryDevice({ bytes, type = types.ddr4, technology }: Module): Buffer {
  const device = Buffer.alloc(technology === undefined ? 0x28 : 0x5c);
  device.set([17, device.length]);
  if (bytes === "none") device.writeUInt16LE(0, 0x0c);
  else if (bytes === "unknown") device.writeUInt16LE(0xffff, 0x0c);
  else if (bytes < 2 ** 20) device.writeUInt16LE(0x8000 | (bytes / kibibyte), 0x0c);
  else if (bytes < 0x7fff * 2 ** 20) device.writeUInt16LE(bytes / 2 ** 20, 0x0c);
  else {
    device.writeUInt16LE(0x7fff, 0x0c);
    device.writeUInt32LE(bytes / 2 ** 20, 0x1c);
  }
  device[0x12] = type;
  if (technology !== undefined) device[0x28] = technology;
  return Buffer.concat([device, Buffer.from("DIMM_A1\0BANK 0\0\0", "latin1")]);
}

const entriesOf = (modules: readonly Module[]): SystemTree =>
  Object.fromEntries(
    modules.map((module, index) => [`firmware/dmi/entries/17-${index}/raw`, memoryDevice(module)] as const),
  );

const meminfo = (bytes: number): SystemTree => ({
  "proc/meminfo": `MemTotal:       ${bytes / kibibyte} kB\nMemFree:          1024 kB\n`,
});

const read = async (tree: SystemTree) => await readMemory(await layOutSystem(tree));

const fit = { bytes: 32 * gibibyte };

describe.runIf(process.platform === "linux")("fitted memory is the sum of the modules of DRAM", () => {
  test.each<[string, Module[], number]>([
    ["of 32 GiB each", [fit, fit], 64 * gibibyte],
    ["of 1 TiB each", [{ bytes: tebibyte }, { bytes: tebibyte }], 2 * tebibyte],
    ["of 512 KiB", [{ bytes: 512 * kibibyte }], 512 * kibibyte],
    ["that are known to be such", [{ bytes: gibibyte, technology: technologies.dram }], gibibyte],
    ["of a technology that is not told", [{ bytes: gibibyte, technology: technologies.unknown }], gibibyte],
    ["of a type that is not told", [{ bytes: gibibyte, type: types.unknown }], gibibyte],
    ["without empty sockets and unknown sizes", [{ bytes: "none" }, { bytes: "unknown" }, fit], 32 * gibibyte],
    [
      "without chips of the firmware",
      [fit, { bytes: 2 ** 24, type: types.flash }, { bytes: 4096, type: types.eeprom }],
      32 * gibibyte,
    ],
    [
      "without persistent memory by its type",
      [fit, { bytes: 512 * gibibyte, type: types.logicalNonVolatile }],
      32 * gibibyte,
    ],
    [
      "without persistent memory by its technology",
      [
        fit,
        { bytes: 512 * gibibyte, type: types.ddr4, technology: technologies.optane },
        { bytes: 16 * gibibyte, type: types.ddr5, technology: technologies.nvdimmN },
      ],
      32 * gibibyte,
    ],
  ])("%s", async (_which, modules, expected) => {
    const { fields, warnings } = await read({ ...entriesOf(modules), ...meminfo(kibibyte) });
    expect(warnings).toEqual([]);
    expect(fields).toEqual({ memoryInstalledBytes: BigInt(expected), memoryUsableRatio: kibibyte / expected });
  });

  test("wherever Linux has them: as a table, where the module that splits it is not loaded", async () => {
    const bios = Buffer.concat([Buffer.of(0, 4, 0, 0), Buffer.from("Vendor\0\0", "latin1")]);
    const withoutStrings = Buffer.concat([Buffer.of(126, 4, 1, 0), Buffer.alloc(2)]);
    const end = Buffer.concat([Buffer.of(127, 4, 2, 0), Buffer.alloc(2)]);
    const table = Buffer.concat([bios, memoryDevice(fit), withoutStrings, memoryDevice(fit), end]);
    const { fields } = await read({ "firmware/dmi/tables/DMI": table, ...meminfo(kibibyte) });
    expect(fields.memoryInstalledBytes).toBe(BigInt(64 * gibibyte));
  });

  test("and what is usable counts as fitted where none are listed, or fewer than that", async () => {
    for (const modules of [[], [{ bytes: gibibyte }]]) {
      const found = await read({ ...entriesOf(modules), ...meminfo(2 * gibibyte) });
      const fields = { memoryInstalledBytes: BigInt(2 * gibibyte), memoryUsableRatio: 1 };
      expect(found).toEqual({ fields, warnings: [] });
    }
  });

  test("and a warning says so where they cannot be read", async () => {
    const unreadable = { "firmware/dmi/entries/17-0/raw/folder": "" };
    const { report, warning } = await reportOf({ ...unreadable, ...meminfo(gibibyte) });
    expect(report?.memoryInstalledBytes).toBe(BigInt(gibibyte));
    expect(warning).toEqual([expect.stringMatching(/^memory: .* root only, so usable memory counts as fitted$/)]);
  });

  test("and structures that are cut short count for nothing", async () => {
    const whole = memoryDevice(fit);
    for (let length = 0; length < 0x28; length++) {
      const cut = whole.subarray(0, length);
      const trees = [{ "firmware/dmi/entries/17-0/raw": cut }, { "firmware/dmi/tables/DMI": cut }];
      for (const tree of trees) {
        const { fields } = await read({ ...tree, ...meminfo(kibibyte) });
        expect(fields.memoryInstalledBytes).toBe(BigInt(kibibyte));
      }
    }
  });
});
