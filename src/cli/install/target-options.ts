/** The options for what to install. */
import { readFile } from "node:fs/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Command, Option } from "commander";
import type { InstallationTargetSchema } from "../../../gen/bmaas/admin/v1/installation_pb.js";
import { ConfigError } from "../../config/config.ts";
import {
  InvalidFieldError,
  limitPayload,
  parseDevice,
  parseDigest,
  parseImageUrl,
} from "../../contract/installation-rules.ts";
import { type OsImage, parseOsImage, parseRequestedDisk } from "../../contract/installation-target.ts";
import { parseNodeParameters } from "../../contract/node-parameters.ts";
import { argumentParser, collect } from "../operator/arguments.ts";

type TargetInit = MessageInitShape<typeof InstallationTargetSchema>;

/** The flags as commander passes them. */
export interface InstallationTargetFlags {
  readonly image?: string;
  readonly metropolis?: OsImage;
  readonly digest?: string;
  readonly rootDevice?: string;
  readonly disk?: readonly string[];
  readonly uncheckedDisk?: boolean;
  readonly userData?: string;
  readonly nodeParameters?: string;
}

/** Adds the options. */
export function addInstallationTarget(command: Command): Command {
  return command
    .addOption(
      new Option("--image <url>", "URL from which agents fetch a disk image (http or https)")
        .argParser(argumentParser(parseImageUrl))
        .conflicts(["metropolis", "nodeParameters"]),
    )
    .addOption(
      new Option(
        "--metropolis <image>",
        "a Metropolis node: [SCHEME://]HOST/REPOSITORY[:TAG][@sha256:…] in an OCI registry",
      )
        .argParser(argumentParser(parseOsImage))
        .conflicts(["image", "userData"]),
    )
    .option("--digest <digest>", "digest of the image: sha256:…", argumentParser(parseDigest))
    .option("--disk <term,…>", "the disk to install onto, which is wiped, by what it is, for example wwn=0x…", collect)
    .option(
      "--root-device <name>",
      "the disk to install onto, which is wiped, by its kernel name in the newest hardware report, for example sda",
      argumentParser(parseDevice),
    )
    .option(
      "--unchecked-disk",
      "with --root-device: take the disk that has this name on the machine, for agents that report no hardware",
    )
    .option("--user-data <file>", "data passed to the system installed from --image, for example for cloud-init")
    .option("--node-parameters <file>", "NodeParameters of a --metropolis node, in protobuf's binary form");
}

/** Returns what to install, and reads the files for it. Throws ConfigError with everything that is missing. */
export async function readInstallationTarget(flags: InstallationTargetFlags): Promise<TargetInit> {
  const { image, metropolis, userData, nodeParameters } = flags;
  const { rootDevice, disk } = readDisk(flags);
  const digest = flags.digest ?? metropolis?.digest ?? "";
  const missing = [
    image === undefined && metropolis === undefined && "--image or --metropolis",
    digest === "" && "--digest",
    rootDevice === "" && disk === undefined && "--disk or --root-device",
    metropolis !== undefined && nodeParameters === undefined && "--node-parameters",
  ].filter((name) => name !== false);
  if (missing.length > 0) throw new ConfigError(missing.map((name) => `${name} is missing`));
  if (metropolis?.digest && metropolis.digest !== digest) {
    throw new ConfigError(["--digest: differs from the digest in --metropolis"]);
  }
  if (image !== undefined) {
    const bytes = userData === undefined ? undefined : await readPayload("--user-data", userData, limitPayload);
    const value = { url: image, digest, rootDevice, ...(bytes && { userData: bytes }) };
    return { type: { case: "image", value }, ...(disk && { disk }) };
  }
  const parameters = await readPayload("--node-parameters", nodeParameters ?? "", parseNodeParameters);
  const value = { rootDevice, nodeParameters: parameters, osImage: { ...metropolis, digest } };
  return { type: { case: "metropolis", value }, ...(disk && { disk }) };
}

/** Help about the disk. */
export const diskHelp = `
--disk names the disk by what it is: comma-separated terms, all of which must hold for exactly one disk in the machine's
newest hardware report (bmaas hardware):
  serial, wwn             as the report states them: serial=ZA1B2C3D, wwn=0x5000c500a1b2c3d4
  path                    a name in /dev/disk/by-path, or disk/by-id/NAME
  model                   with or without the vendor; write a comma in a value as \\,
  min-size, max-size      for example 400GB, 2TB
  nvme, sata, sas, mmc    the protocol; ssd, hdd: without or with rotating platters
  smallest, largest       of the disks that match the rest, which must be one
  only                    the only disk that matches the rest`;

/** Reads how the disk is named. Throws ConfigError for contradictions. */
function readDisk({ rootDevice = "", disk: texts, uncheckedDisk = false }: InstallationTargetFlags) {
  if (texts === undefined) return { rootDevice };
  if (rootDevice !== "") throw new ConfigError(["--disk and --root-device both name the disk: give one of them"]);
  if (uncheckedDisk) throw new ConfigError(["--unchecked-disk needs --root-device, since --disk is looked up"]);
  try {
    return parseRequestedDisk(texts.join(","));
  } catch (error) {
    throw new ConfigError([`--disk: it ${(error as Error).message}`]);
  }
}

async function readPayload(
  option: string,
  file: string,
  check: (bytes: Uint8Array) => Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(check(await readFile(file)));
  } catch (error) {
    const what = error instanceof InvalidFieldError ? `${file} ${error.message}` : (error as Error).message;
    throw new ConfigError([`${option}: ${what}`]);
  }
}
