/** What somebody wants to install, as it is typed. */
import type { InstallationTargetSchema } from "@api/installation_pb.js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { limitPayload, parseDigest, parseImageUrl } from "../../../src/contract/installation-rules.ts";
import { parseOsImage, parseRequestedDisk } from "../../../src/contract/installation-target.ts";
import { parseNodeParameters } from "../../../src/contract/node-parameters.ts";
import { toCommand } from "../ui/shell-words.ts";
import type { Targets } from "./targets.ts";

/** A file that somebody has chosen. */
export interface ChosenFile {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What was typed and chosen. */
export interface Wanted {
  readonly kind: "image" | "metropolis";
  /** URL of an image, or reference of a Metropolis image in a registry. */
  readonly image: string;
  readonly digest: string;
  readonly disk: string;
  readonly userData: string;
  readonly nodeParameters: ChosenFile | undefined;
  readonly force: boolean;
}

/** Nothing was typed yet. */
export const nothingWanted: Wanted = {
  kind: "image",
  image: "",
  digest: "",
  disk: "",
  userData: "",
  nodeParameters: undefined,
  force: false,
};

/** Returns the target of a request. Throws an Error whose message is a sentence about the first mistake. */
export function toTarget(wanted: Wanted): MessageInitShape<typeof InstallationTargetSchema> {
  const { kind, image, digest: typed, disk: terms, userData, nodeParameters } = wanted;
  const readDisk = () => read("The disk", () => parseRequestedDisk(terms.trim()));
  if (kind === "image") {
    const url = read("The image", () => parseImageUrl(image.trim()));
    const digest = read("The digest", () => parseDigest(typed.trim()));
    const { rootDevice, disk } = readDisk();
    const bytes = read("The user data", () => limitPayload(new TextEncoder().encode(userData)));
    const value = { url, digest, rootDevice, ...(userData !== "" && { userData: bytes }) };
    return { type: { case: "image", value }, ...(disk && { disk }) };
  }
  const reference = read("The image", () => parseOsImage(image.trim()));
  const digest = read("The digest", () => parseDigest(typed.trim() || reference.digest));
  if (reference.digest !== "" && reference.digest !== digest) {
    throw new Error("The digest differs from the one in the image's reference.");
  }
  const { rootDevice, disk } = readDisk();
  if (nodeParameters === undefined) throw new Error("Choose the file with the node's parameters.");
  const { name, bytes } = nodeParameters;
  const value = {
    rootDevice,
    nodeParameters: read(name, () => parseNodeParameters(bytes)),
    osImage: { ...reference, digest },
  };
  return { type: { case: "metropolis", value }, ...(disk && { disk }) };
}

function read<Value>(what: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    throw new Error(`${what} ${(error as Error).message}.`);
  }
}

/** Returns the command that requests the same. */
export function describeCommand(targets: Targets, wanted: Wanted, supersede: boolean): string {
  const { kind, image, digest, disk, userData, nodeParameters, force } = wanted;
  const isImage = kind === "image";
  const words = [
    `bmaas install request ${targets.words}`,
    `--${kind} ${toCommand(image.trim() || (isImage ? "URL" : "IMAGE"))}`,
    `--digest ${toCommand(digest.trim() || "DIGEST")} --disk ${toCommand(disk.trim() || "DISK")}`,
    isImage && userData !== "" && "--user-data FILE",
    !isImage && `--node-parameters ${toCommand(nodeParameters?.name ?? "FILE")}`,
    supersede && "--supersede",
    force && "--force",
  ];
  return words.filter(Boolean).join(" ");
}
