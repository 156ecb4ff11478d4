/** Reads the machine's manufacturer, product and serial numbers. */
import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { system } from "systeminformation";
import {
  isPlaceholderName,
  isPlaceholderSerialNumber,
  isPlaceholderUuid,
} from "../../contract/firmware-placeholders.ts";
import { toText } from "./fields.ts";
import { findText, listNames, type SystemFiles } from "./sysfs.ts";

interface Attribute {
  /** File in /sys/class/dmi/id. */
  readonly file: string;
  /** Name in warnings. */
  readonly name: string;
  readonly isPlaceholder: (text: string) => boolean;
}

/** Texts of SMBIOS by the field of the report. On Linux, only root can read those that identify a machine. */
const attributes = {
  manufacturer: { file: "sys_vendor", name: "manufacturer", isPlaceholder: isPlaceholderName },
  product: { file: "product_name", name: "product", isPlaceholder: isPlaceholderName },
  serialNumber: { file: "product_serial", name: "serial number", isPlaceholder: isPlaceholderSerialNumber },
  systemUuid: { file: "product_uuid", name: "system UUID", isPlaceholder: isPlaceholderUuid },
  productVersion: { file: "product_version", name: "product version", isPlaceholder: isPlaceholderName },
  boardSerialNumber: {
    file: "board_serial",
    name: "board's serial number",
    isPlaceholder: isPlaceholderSerialNumber,
  },
  chassisSerialNumber: {
    file: "chassis_serial",
    name: "chassis's serial number",
    isPlaceholder: isPlaceholderSerialNumber,
  },
  biosVersion: { file: "bios_version", name: "BIOS version", isPlaceholder: isPlaceholderName },
} as const satisfies Record<string, Attribute>;

type AttributeField = keyof typeof attributes;

/**
 * Reads SMBIOS from the kernel, or the device tree on boards without SMBIOS. On other systems uses systeminformation.
 */
export async function readSystem({ sys }: SystemFiles) {
  if (process.platform !== "linux") return leaveOutPlaceholders(await readElsewhere(), []);
  const [said, bmcVersion, tree] = await Promise.all([readSmbios(sys), findBmcVersion(sys), readDeviceTree(sys)]);
  const { fields, warnings } = leaveOutPlaceholders({ ...tree, ...said.texts }, said.unreadable);
  return { fields: { ...fields, bmcVersion: toText(bmcVersion) }, warnings };
}

type Texts = Partial<Record<AttributeField, string>>;

/** Leaves out placeholders, with a warning. */
function leaveOutPlaceholders(texts: Texts, unreadable: readonly string[]) {
  const fields: Texts = {};
  const placeholders: string[] = [];
  for (const [field, { name, isPlaceholder }] of Object.entries(attributes) as [AttributeField, Attribute][]) {
    const text = toText(texts[field]);
    if (text === "") continue;
    if (isPlaceholder(text)) placeholders.push(`${name} ${JSON.stringify(text)}`);
    else fields[field] = field === "systemUuid" ? text.toLowerCase() : text;
  }
  return {
    fields,
    warnings: [
      ...(placeholders.length === 0 ? [] : [`left out as the firmware's placeholders: ${placeholders.join(", ")}`]),
      ...(unreadable.length === 0 ? [] : [`can be read by root only: ${unreadable.join(", ")}`]),
    ],
  };
}

async function readSmbios(sys: string): Promise<{ texts: Texts; unreadable: string[] }> {
  const texts: Texts = {};
  const unreadable: string[] = [];
  for (const [field, { file, name }] of Object.entries(attributes) as [AttributeField, Attribute][]) {
    const path = join(sys, "class/dmi/id", file);
    const text = await findText(path);
    if (text !== undefined) texts[field] = text;
    else if (await isForbidden(path)) unreadable.push(name);
  }
  return { texts, unreadable };
}

async function isForbidden(path: string): Promise<boolean> {
  try {
    await access(path, constants.R_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EACCES";
  }
}

/**
 * Reads the device tree, in which boards without SMBIOS, such as many ARM boards, describe themselves (Devicetree
 * Specification 2.3).
 */
async function readDeviceTree(sys: string): Promise<Texts> {
  const of = (name: string) => findText(sys, "firmware/devicetree/base", name);
  const [product, serialNumber] = await Promise.all([of("model"), of("serial-number")]);
  return { ...(product !== undefined && { product }), ...(serialNumber !== undefined && { serialNumber }) };
}

/** Returns the version of the first BMC from Linux's IPMI driver, or undefined if that is not loaded. */
async function findBmcVersion(sys: string): Promise<string | undefined> {
  const devices = await listNames(sys, "bus/platform/devices").catch(() => []);
  const bmc = devices.find((name) => name.startsWith("ipmi_bmc"));
  return bmc === undefined ? undefined : await findText(sys, "bus/platform/devices", bmc, "firmware_revision");
}

async function readElsewhere(): Promise<Texts> {
  const { manufacturer, model, version, serial, uuid } = await system();
  return { manufacturer, product: model, productVersion: version, serialNumber: serial, systemUuid: uuid };
}
