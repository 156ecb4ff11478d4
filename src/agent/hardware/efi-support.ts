/** Finds out whether the machine's firmware supports EFI. */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { EFISupport } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { findStructures, structureTypes } from "./smbios.ts";
import type { SystemFiles } from "./sysfs.ts";

/** Offset and bit of "UEFI is supported" in the BIOS Information structure (DSP0134 sections 7.1 and 7.1.2.2). */
const uefiOffset = 0x13;
const uefiBit = 0b1000;

/**
 * Returns ENABLED if Linux was booted by EFI. Otherwise returns SMBIOS's statement, or UNKNOWN if that cannot be read.
 */
export async function readEfiSupport({ sys }: SystemFiles): Promise<EFISupport> {
  try {
    await access(join(sys, "firmware/efi"));
    return EFISupport.EFI_SUPPORT_ENABLED;
  } catch {
    const [bios] = (await findStructures(sys, structureTypes.bios)) ?? [];
    const characteristics = bios?.[uefiOffset];
    // In older versions of SMBIOS, the structure ends before that byte.
    if (characteristics === undefined) return EFISupport.EFI_SUPPORT_UNKNOWN;
    return characteristics & uefiBit ? EFISupport.EFI_SUPPORT_SUPPORTED : EFISupport.EFI_SUPPORT_UNSUPPORTED;
  }
}
