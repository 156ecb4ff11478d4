/** Asks a disk for its health by smartctl, which may be missing, or be of any version. */
import { DeviceToolError, runDeviceTool } from "./device-tool.ts";

/** smartctl's answer about one disk. */
export interface SmartctlAnswer {
  /** Its JSON, not validated. */
  readonly json: Record<string, unknown>;
  /** Bits as in smartctl(8), "EXIT STATUS". */
  readonly exitStatus: number;
}

/**
 * Options for everything that `-a` prints, and for the statistics of ATA and of solid state disks, which `-a` leaves
 * out. Versions from 7.0 on print all of it in one JSON text.
 */
const options = ["-j", "-a", "-l", "devstat,1", "-l", "devstat,4", "-l", "ssd"];

/** Maximum size of an answer. A disk with many entries in its logs needs about 200 KB. */
const maxBytes = 1024 * 1024;

/** Asks about the device node `device`, at most until `signal` aborts. Throws DeviceToolError. */
export async function askSmartctl(device: string, signal: AbortSignal): Promise<SmartctlAnswer> {
  const asked = { tool: "smartctl", args: [...options, device], device, maxBytes, signal };
  const { output, exitStatus } = await runDeviceTool(asked);
  return parseAnswer(output.toString("utf8"), exitStatus);
}

function parseAnswer(text: string, exitStatus: number): SmartctlAnswer {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new DeviceToolError(
      `smartctl ended with status ${exitStatus} and printed no JSON, which it supports from version 7.0`,
    );
  }
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new DeviceToolError("smartctl printed JSON that is not an object");
  return { json: json as Record<string, unknown>, exitStatus };
}
