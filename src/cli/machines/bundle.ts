/** `bmaas machines bundle` */
import { writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { JsonObject } from "@bufbuild/protobuf";
import { Command } from "commander";
import { machineIdArgument } from "../operator/arguments.ts";
import { CommandFailure, exitStatus } from "../operator/exit-status.ts";
import { type BundlePart, collectBundle, writeContents } from "../operator/machine-bundle.ts";
import { addOperatorOptions, type OperatorFlags, operate } from "../operator/operate.ts";
import { note, printJson } from "../operator/output.ts";

interface BundleFlags extends OperatorFlags {
  readonly out?: string;
}

/** Creates the command `bmaas machines bundle`. */
export function bundleCommand(): Command {
  const command = new Command("bundle")
    .description("write everything about a machine into an archive, for a bug report or a colleague")
    .argument("<machine-id>", "the machine", machineIdArgument)
    .option("--out <file>", "write the archive to this file (default: to standard output)")
    .action(
      operate(async (operator, { out, json }: BundleFlags, machineId: string) => {
        if (!json && out === undefined && process.stdout.isTTY) throw wouldFillTerminal();
        const parts = await collectBundle(operator, machineId);
        if (json) return printJson(toJson(parts));
        const archive = await pack(machineId, parts);
        if (out === undefined) process.stdout.write(archive);
        else await writeArchive(out, archive);
        note(
          `${archive.length} bytes with ${parts.map(({ name }) => name).join(", ")}; what a viewer may not read is left out`,
        );
      }),
    );
  return addOperatorOptions(command, {
    examples: [
      "bmaas machines bundle 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 > bundle.tar.gz",
      "bmaas machines bundle 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11 --out bundle.tar.gz",
    ],
    more: [
      "\nThe archive has explanation, machine, hardware, installations, history, issues, health, the server's settings" +
        "\nwithout secrets, and versions. A viewer's token suffices. User data, and credentials and query of an image's URL, are not in it.",
      "\nWith --json: one object with the messages of bmaas.admin.v1 that the archive holds, by the names of its files.",
    ],
  });
}

function wouldFillTerminal(): CommandFailure {
  return new CommandFailure(
    "an archive is not written to a terminal: write it to a file with --out FILE, or with > FILE",
    exitStatus.usage,
  );
}

function toJson(parts: readonly BundlePart[]): JsonObject {
  return Object.fromEntries(parts.flatMap(({ name, json }) => (json === undefined ? [] : [[name, json]])));
}

/** Returns the files as a tar archive compressed by gzip, in one folder that is named for the machine. */
async function pack(machineId: string, parts: readonly BundlePart[]): Promise<Uint8Array> {
  const { packTar } = await import("modern-tar");
  const madeAt = new Date();
  const files = [{ name: "README.txt", text: writeContents(machineId, parts, madeAt) }, ...parts];
  const entries = files.map(({ name, text }) => {
    const body = Buffer.from(text);
    const path = `bmaas-${machineId}/${name}`;
    return { header: { name: path, size: body.length, mode: 0o644, mtime: madeAt }, body };
  });
  return await promisify(gzip)(await packTar(entries));
}

/** Writes the archive to a file that only its owner can read, unless the file exists. Throws CommandFailure. */
async function writeArchive(file: string, archive: Uint8Array): Promise<void> {
  try {
    await writeFile(file, archive, { mode: 0o600 });
  } catch (error) {
    throw new CommandFailure(`cannot write ${file}: ${(error as Error).message}`, exitStatus.failed, { cause: error });
  }
}
