/** What to install and onto which disk, as operators write it: for the command line and the console. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { DiskSelectorSchema } from "../../gen/bmaas/admin/v1/installation_pb.js";
import { parseBytes } from "./amounts.ts";
import { type DiskSelector, diskProtocols, parseDiskSelector } from "./disk-selector.ts";
import { InvalidFieldError, parseDigest, parseImageTag, parseRegistryName } from "./installation-rules.ts";

/** A reference to an image in an OCI registry. */
export interface OsImage {
  readonly scheme: string;
  readonly host: string;
  readonly repository: string;
  readonly tag: string;
  /** Empty if the reference has none. */
  readonly digest: string;
}

/** Parses `[SCHEME://]HOST/REPOSITORY[:TAG][@DIGEST]`. The default scheme is https. Throws InvalidFieldError. */
export function parseOsImage(text: string): OsImage {
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

/** A disk as requests name it: by its kernel name, or by what it is. */
export interface RequestedDisk {
  readonly rootDevice: string;
  readonly disk?: MessageInitShape<typeof DiskSelectorSchema>;
}

/** Parses the terms of `--disk`, such as "smallest,nvme" or "name=sda". Throws InvalidFieldError. */
export function parseRequestedDisk(terms: string): RequestedDisk {
  const selector = parseDiskSelector(terms, parseDiskSize);
  if (selector.kernelName === undefined) return { rootDevice: "", disk: toNamedDisk(selector) };
  if (Object.keys(selector).length === 1) return { rootDevice: selector.kernelName };
  throw new InvalidFieldError("has a name beside other terms; a name alone says which disk");
}

function parseDiskSize(text: string): bigint {
  try {
    return parseBytes(text);
  } catch {
    throw new InvalidFieldError("is not an amount of bytes such as 400GB or 2TB");
  }
}

function toNamedDisk(selector: DiskSelector): MessageInitShape<typeof DiskSelectorSchema> {
  const { serialNumber, wwn, path, model, minBytes, maxBytes, rotational, protocol, pick } = selector;
  const choice = pick === undefined ? undefined : ({ case: pick, value: true } as const);
  return {
    ...(serialNumber !== undefined && { serialNumber }),
    ...(wwn !== undefined && { wwn: `0x${wwn}` }),
    ...(path !== undefined && { path }),
    ...(model !== undefined && { model }),
    ...(minBytes !== undefined && { minBytes }),
    ...(maxBytes !== undefined && { maxBytes }),
    ...(rotational !== undefined && { rotational }),
    ...(protocol !== undefined && { protocol: diskProtocols[protocol] }),
    ...(choice !== undefined && { choice }),
  };
}
