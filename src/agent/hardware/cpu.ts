/** Reads the CPU packages of the machine. */
import { create } from "@bufbuild/protobuf";
import { cpu } from "systeminformation";
import { type CPU, CPUSchema } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { toInt32, toText } from "./fields.ts";
import { findText, type SystemFiles } from "./sysfs.ts";

/** Reads one entry for each package, from /proc/cpuinfo on x86 and from systeminformation elsewhere. */
export async function readCpus({ proc }: SystemFiles): Promise<CPU[]> {
  const packages = new Map<string, CPU>();
  for (const block of ((await findText(proc, "cpuinfo")) ?? "").split(/\n\s*\n/)) {
    const fields = new Map(block.split("\n").map((line) => splitField(line)));
    // Virtual machines may leave out the package of a thread. Then there is one package.
    const id = fields.get("physical id") ?? "0";
    if (!packages.has(id) && fields.has("cpu family")) packages.set(id, createX86(fields));
  }
  return packages.size > 0 ? [...packages.values()] : await readCpusElsewhere();
}

function splitField(line: string): [string, string] {
  const colon = line.indexOf(":");
  return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
}

function createX86(fields: ReadonlyMap<string, string>): CPU {
  const number = (name: string) => toInt32(fields.get(name));
  return create(CPUSchema, {
    architecture: {
      case: "x8664",
      value: { family: number("cpu family"), model: number("model"), stepping: number("stepping") },
    },
    cores: number("cpu cores"),
    hardwareThreads: number("siblings"),
    vendor: toText(fields.get("vendor_id")),
    model: toText(fields.get("model name")),
  });
}

async function readCpusElsewhere(): Promise<CPU[]> {
  const { vendor, manufacturer, brand, cores, physicalCores, processors } = await cpu();
  const count = Math.max(1, toInt32(processors));
  return Array.from({ length: count }, () =>
    create(CPUSchema, {
      cores: Math.floor(toInt32(physicalCores) / count),
      hardwareThreads: Math.floor(toInt32(cores) / count),
      vendor: toText(vendor || manufacturer),
      model: toText(brand),
    }),
  );
}
