/** Reads the identifier of a disk's partition table. */
import { abortAfter } from "../abort-after.ts";
import { readGuid } from "../image/partition-table.ts";
import { runDeviceTool } from "./device-tool.ts";

/** Number of bytes that hold the beginning of either table, for logical blocks of up to 4096 bytes. */
const headBytes = 8192;

const mbrSignature = { at: 510, bytes: Buffer.of(0x55, 0xaa) };
/** The disk's signature in an MBR, and the type of its first partition, which is 0xee where a GPT follows. */
const mbr = { diskSignature: 440, firstType: 450, gptType: 0xee };
/** Signature and disk GUID of a GPT header (UEFI specification 2.10 section 5.3.2). */
const gpt = { signature: Buffer.from("EFI PART"), diskGuid: 56 };

/**
 * Returns the GUID of the disk's GPT in lower case, or the signature of its MBR as eight hexadecimal digits; "" if the
 * device has neither or cannot be read in time. Reads in another process, since a failing disk can block its reader.
 */
export async function readPartitionTableId(device: string, blockSizeBytes: number, timeoutMs: number): Promise<string> {
  const args = [`if=${device}`, `bs=${headBytes}`, "count=1"];
  try {
    const signal = abortAfter(timeoutMs);
    const { output, exitStatus } = await runDeviceTool({ tool: "dd", args, device, maxBytes: headBytes, signal });
    return exitStatus === 0 ? findPartitionTableId(output, blockSizeBytes) : "";
  } catch {
    return "";
  }
}

/** Returns the identifier of the partition table at the beginning of a disk; "" if there is none. @public */
export function findPartitionTableId(head: Buffer, blockSizeBytes: number): string {
  const header = head.subarray(blockSizeBytes);
  const hasGpt = header.subarray(0, gpt.signature.length).equals(gpt.signature);
  if (hasGpt && header.length >= gpt.diskGuid + 16) return readGuid(header.subarray(gpt.diskGuid)).toLowerCase();
  const hasMbr = head.subarray(mbrSignature.at, mbrSignature.at + 2).equals(mbrSignature.bytes);
  if (!hasMbr || head[mbr.firstType] === mbr.gptType) return "";
  const signature = head.readUInt32LE(mbr.diskSignature);
  return signature === 0 ? "" : signature.toString(16).padStart(8, "0");
}
