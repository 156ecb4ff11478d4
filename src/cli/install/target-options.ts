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
  parseImageTag,
  parseImageUrl,
  parseRegistryName,
} from "../../contract/installation-rules.ts";
import { parseNodeParameters } from "../../contract/node-parameters.ts";
import { argumentParser } from "../operator/arguments.ts";

type TargetInit = MessageInitShape<typeof InstallationTargetSchema>;

/** A reference to an image in an OCI registry. */
interface OsImage {
  readonly scheme: string;
  readonly host: string;
  readonly repository: string;
  readonly tag: string;
  /** Empty if the reference has none. */
  readonly digest: string;
}

/** The flags as commander passes them. */
export interface InstallationTargetFlags {
  readonly image?: string;
  readonly metropolis?: OsImage;
  readonly digest?: string;
  readonly rootDevice?: string;
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
    .option(
      "--root-device <name>",
      "the disk to install onto, which is wiped, for example sda",
      argumentParser(parseDevice),
    )
    .option("--user-data <file>", "data passed to the system installed from --image, for example for cloud-init")
    .option("--node-parameters <file>", "NodeParameters of a --metropolis node, in protobuf's binary form");
}

/** Parses `[SCHEME://]HOST/REPOSITORY[:TAG][@DIGEST]`. The default scheme is https. */
function parseOsImage(text: string): OsImage {
  const [, scheme = "https", host, repository, tag = "", digest = ""] =
    /^(?:(https?):\/\/)?([^/@]+)\/([^@]+?)(?::([^/:@]+))?(?:@(.+))?$/.exec(text) ?? [];
  if (host === undefined || repository === undefined) {
    throw new InvalidFieldError("is not HOST/REPOSITORY[:TAG][@sha256:…]");
  }
  return {
    scheme,
    host: parseRegistryName(host),
    repository: parseRegistryName(repository),
    tag: tag && parseImageTag(tag),
    digest: digest && parseDigest(digest),
  };
}

/** Returns what to install, and reads the files for it. Throws ConfigError with everything that is missing. */
export async function readInstallationTarget(flags: InstallationTargetFlags): Promise<TargetInit> {
  const { image, metropolis, rootDevice = "", userData, nodeParameters } = flags;
  const digest = flags.digest ?? metropolis?.digest ?? "";
  const missing = [
    image === undefined && metropolis === undefined && "--image or --metropolis",
    digest === "" && "--digest",
    rootDevice === "" && "--root-device",
    metropolis !== undefined && nodeParameters === undefined && "--node-parameters",
  ].filter((name) => name !== false);
  if (missing.length > 0) throw new ConfigError(missing.map((name) => `${name} is missing`));
  if (metropolis?.digest && metropolis.digest !== digest) {
    throw new ConfigError(["--digest: differs from the digest in --metropolis"]);
  }
  if (image !== undefined) {
    const bytes = userData === undefined ? undefined : await readPayload("--user-data", userData, limitPayload);
    return { type: { case: "image", value: { url: image, digest, rootDevice, ...(bytes && { userData: bytes }) } } };
  }
  const parameters = await readPayload("--node-parameters", nodeParameters ?? "", parseNodeParameters);
  const value = { rootDevice, nodeParameters: parameters, osImage: { ...metropolis, digest } };
  return { type: { case: "metropolis", value } };
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
