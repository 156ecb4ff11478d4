/** Whether the machine's firmware speaks EFI. */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { EFISupport } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { findBytes, type SystemFiles } from "./sysfs.ts";

/** Offset and bit of "UEFI is supported" in the SMBIOS BIOS information (DMTF DSP0134, sections 7.1 and 7.1.2.2). */
const uefiOffset = 0x13;
const uefiBit = 0b1000;

/** Says ENABLED when Linux booted by EFI, and else what SMBIOS says where it may be read. */
export async function readEfiSupport({ sys }: SystemFiles): Promise<EFISupport> {
  try {
    await access(join(sys, "firmware/efi"));
    return EFISupport.EFI_SUPPORT_ENABLED;
  } catch {
    const bios = await findBytes(sys, "firmware/dmi/entries/0-0/raw");
    const characteristics = bios?.[uefiOffset];
    // The formatted part, whose length is its second byte, may end before that byte in older versions.
    if (characteristics === undefined || (bios?.[1] ?? 0) <= uefiOffset) return EFISupport.EFI_SUPPORT_UNKNOWN;
    return characteristics & uefiBit ? EFISupport.EFI_SUPPORT_SUPPORTED : EFISupport.EFI_SUPPORT_UNSUPPORTED;
  }
}
