/**
 * Placeholders in firmware fields that a maker did not fill in. Machines of many kinds share each of these texts, so
 * none says what a machine is or which one. Runs in Node and in browsers.
 *
 * The names are those that the firmware of several board makers has in common among the 162,864 machines of
 * github.com/linuxhw/DMI. The serial numbers and UUIDs are those that GLPI, OCS Inventory, systemd's hwdb and FOG list
 * as shared by machines.
 */

/**
 * Texts in lower case without anything but letters and digits: "tobefilledbyoem" is "To Be Filled By O.E.M." in any
 * spelling.
 */
const placeholders: ReadonlySet<string> = new Set([
  // Texts for the maker of a system to replace.
  ...[
    "tobefilledbyoem",
    "tobefilled",
    "filledbyoem",
    "fillbyoem",
    "defaultstringbefilledbyoem",
    "tbd",
    "tbdbyoem",
    "oem",
  ],
  ...["default", "defaultstring", "defaultsku", "string", "type1tbdbyoem"],
  // Names of fields.
  ...["manufacturer", "systemmanufacturer", "systemvendor", "vendor", "oemsystemmanufacturer"],
  ...["productname", "systemproductname", "systemname", "systemmodel", "boardproductname", "baseboardproductname"],
  ...["type1productconfigid", "type2boardproductname", "type2boardproductname1", "type2productname"],
  ...["version", "systemversion", "productversion", "boardversion", "baseboardversion", "type1version"],
  ...["serial", "serialnumber", "systemserialnumber", "productserialnumber", "boardserialnumber", "sn"],
  ...["baseboardserialnumber", "type1serialnumber", "type2boardserialnumber", "type2serialnumber"],
  ...["chassismanufacture", "chassismanufacturer", "chassisversion", "chassisserialnumber", "type3serialnumber"],
  ...["oemchassismanufacturer", "oemchassisversion", "oemchassisserialnumber", "systemserialnumberunknown"],
  // Texts that say that there is no value.
  ...[
    "none",
    "null",
    "nullstring",
    "nil",
    "na",
    "notapplicable",
    "notavailable",
    "notspecified",
    "notdefined",
    "notset",
  ],
  ...["notpresent", "notprovided", "notsettable", "unknown", "unknow", "unspecified", "undefined", "empty", "blank"],
  ...["invalid", "noserial", "noserialnumber", "nosn", "badindex", "outofspec", "xx", "xxx", "revxx", "reserved"],
]);

/** Names that a maker gives to all its products, in the same form as `placeholders`. */
const sharedProducts: ReadonlySet<string> = new Set(["allseries"]);

/** Shared serial numbers that follow no pattern. */
const sharedSerialNumbers: ReadonlySet<string> = new Set([
  ...[
    "123456789000",
    "9876543210",
    "sys9876543210",
    "sn123456fvgv3i0b8o5n6n7k",
    "serialnumberxxxxxx",
    "eval",
    "iatpass",
    "pcie2",
  ],
]);

/** Shared UUIDs as Linux and dmidecode show them. The same bytes in the other order count as well. */
const sharedUuids: ReadonlySet<string> = new Set([
  // AMI's defaults, on boards of many makers.
  "03000200-0400-0500-0006-000700080009",
  "07090201-0103-0301-0807-060504030201",
  "00000000-0000-0000-0807-060504030201",
  "00010203-0405-0607-0809-0a0b0c0d0e0f",
  "01020304-0506-0708-090a-0b0c0d0e0f10",
  "01234567-89ab-cdef-0123-456789abcdef",
  "11111111-2222-3333-4444-555555555555",
  "12345678-1234-5678-1234-567812345678",
  "12345678-1234-5678-90ab-cddeefaabbcc",
  "deadbeef-dead-beef-dead-beefdeadbeef",
  "ffffff00-ffff-ffff-ffff-ffffffffffff",
  // Dell's UUID for a service tag of seven blanks.
  "4c4c4544-0000-2010-8020-80c04f202020",
  // First firmware of SolidRun's LX2160A.
  "8a95d198-7f46-11e5-bf8b-08002704d48e",
  // Found by GLPI on many machines.
  "6ab5b300-538d-1014-9fb5-b0684d007b53",
]);

/** Serial numbers that makers of disks leave in place, in the same form as `placeholders`. */
const placeholderDiskSerialNumber = /^(?:0?12345|default|serial|deadbeef)/;

/** Serial numbers by which virtual machines number their own disks, all in the same way: QEMU and Proxmox VE. */
const sharedDiskSerialNumber = /^(?:qm\d{5}|drive(?:ide|sata|scsi|virtio)\d+)$/;

/** MAC addresses that drivers and management controllers give to interfaces of many machines. */
const sharedMacs: ReadonlySet<string> = new Set([
  // The host's side of the network to the BMC, on Supermicro boards.
  "be3af2b6059f",
  // Microsoft's and Palm's virtual adapters, and VMware's on the host, as GLPI lists them.
  ...["02004e434950", "0200544e0101", "028037ec0200", "204153594eff", "005056c00001", "005056c00008"],
  ...["00a0c6000000", "505054503030", "33506f453030", "feffffffffff"],
]);

/**
 * Returns whether the name of a manufacturer, product or version says nothing, such as "System Product Name" or "...".
 */
export function isPlaceholderName(text: string): boolean {
  const squeezed = squeeze(text);
  return squeezed === "" || placeholders.has(squeezed) || sharedProducts.has(squeezed);
}

/** Returns whether a serial number identifies no machine, such as "Default string", "0000000" or "0123456789". */
export function isPlaceholderSerialNumber(text: string): boolean {
  const squeezed = squeeze(text);
  if (squeezed === "" || placeholders.has(squeezed) || sharedSerialNumbers.has(squeezed)) return true;
  return /^(.)\1*$/u.test(squeezed) || isCounting(squeezed);
}

/** Returns whether a disk's serial number does not even tell the disks of one machine apart. */
export function isPlaceholderDiskSerialNumber(text: string): boolean {
  return isPlaceholderSerialNumber(text) || placeholderDiskSerialNumber.test(squeeze(text));
}

/** Returns whether disks of several machines may have the serial number. */
export function isSharedDiskSerialNumber(text: string): boolean {
  return isPlaceholderDiskSerialNumber(text) || sharedDiskSerialNumber.test(squeeze(text));
}

/** Returns whether a link-layer address, as hexadecimal digits in lower case, identifies no interface. */
export function isPlaceholderMac(digits: string): boolean {
  return isOneByte(digits) || sharedMacs.has(digits);
}

/** Returns whether a WWN, as hexadecimal digits, identifies no disk: all of its bytes are the same. */
export function isPlaceholderWwn(digits: string): boolean {
  return isOneByte(digits);
}

/**
 * Returns whether machines share a system's UUID, or whether it means that there is none (all bytes are equal). Returns
 * false for a text that is not a UUID.
 */
export function isPlaceholderUuid(uuid: string): boolean {
  const text = uuid.toLowerCase();
  const digits = text.replaceAll("-", "");
  return (digits.length === 32 && isOneByte(digits)) || sharedUuids.has(text) || sharedUuids.has(swapBytes(text));
}

/** Returns whether hexadecimal digits stand for one byte and its repetitions. */
function isOneByte(digits: string): boolean {
  return /^(..)\1*$/.test(digits);
}

/**
 * Returns the text in lower case without anything but letters and digits. U+FFFD is not a letter: it stands for bytes
 * that are not text, such as those of an erased memory.
 */
function squeeze(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}]/gu, "").toLowerCase();
}

/** Returns whether a text is five or more consecutive digits, as in "0123456789" or "SN-1234567890". */
function isCounting(squeezed: string): boolean {
  const [, text = ""] = /^(?:sys|sn|mb|asset|chassis)?(\d{5,})$/.exec(squeezed) ?? [];
  const digits = Array.from(text, Number);
  const isNext = (digit: number, before: number) => digit === (before + 1) % 10 || (before === 9 && digit === 1);
  return digits.length > 0 && digits.slice(1).every((digit, index) => isNext(digit, digits[index] ?? 0));
}

/** Swaps the bytes of the first three groups. SMBIOS before 2.6 did not define their order, and tools differ. */
function swapBytes(uuid: string): string {
  return uuid.replace(
    /^(..)(..)(..)(..)-(..)(..)-(..)(..)-/,
    (_, a: string, b: string, c: string, d: string, e: string, f: string, g: string, h: string) =>
      `${d}${c}${b}${a}-${f}${e}-${h}${g}-`,
  );
}
