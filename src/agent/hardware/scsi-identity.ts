/** Reads the identity of a SCSI or ATA disk from the pages of vital product data that Linux keeps in /sys. */

/** Identity of a disk, as far as its pages state it. */
export interface PageIdentity {
  readonly model?: string | undefined;
  readonly serial?: string | undefined;
  /** NAA or EUI-64. */
  readonly wwn?: Uint8Array<ArrayBuffer> | undefined;
  /** Whether an ATA disk states that its medium can be removed. */
  readonly hasRemovableMedium?: boolean | undefined;
}

/** The disk's pages as in /sys, each with its header of four bytes. */
export interface VitalPages {
  /** Unit Serial Number (SPC-5 section 7.7.19). */
  readonly serialNumber: Buffer | undefined;
  /** Device Identification (SPC-5 section 7.7.6). */
  readonly identification: Buffer | undefined;
  /** ATA Information (SAT-5 section 12.4.2). */
  readonly ata: Buffer | undefined;
}

/** Types and associations of a designator (SPC-5 tables 608 and 610). */
const designatorType = { t10: 1, eui64: 2, naa: 3 };
const ofLogicalUnit = 0;

/**
 * Beginning of the T10 designator of an ATA disk. 40 characters of model and 20 of serial number follow (SAT-5 section
 * 12.4.3.4).
 */
const ataVendor = "ATA     ";
const ataModelLength = 40;

/** Offset of the IDENTIFY DEVICE data in the ATA Information page, and words in it (ACS-5 section 7.13). */
const identifyOffset = 60;
const identifyWord = { general: 0, serial: 10, model: 27, wwn: 108, end: 256 };

/** Reads the pages. Facts that none of them states are absent. */
export function readPages({ serialNumber, identification, ata }: VitalPages): PageIdentity {
  const said = ata === undefined ? {} : readIdentifyData(ata.subarray(identifyOffset));
  const named = readDesignators(identification);
  return {
    model: said.model ?? named.model,
    serial: said.serial ?? named.serial ?? toName(payloadOf(serialNumber)),
    wwn: named.wwn ?? said.wwn,
    hasRemovableMedium: said.hasRemovableMedium,
  };
}

/** Reads model and serial number from Linux's text for a designator: "t10.ATA     MODEL … SERIAL". */
export function readT10Text(text: string, serial: string | undefined): PageIdentity {
  if (!text.startsWith(`t10.${ataVendor}`)) return {};
  const rest = text.slice(`t10.${ataVendor}`.length).trimEnd();
  // The columns are not fixed if Linux has escaped unprintable characters.
  const end = serial !== undefined && rest.endsWith(serial) ? rest.length - serial.length : ataModelLength;
  return { model: rest.slice(0, end).trim() || undefined, serial: rest.slice(end).trim() || undefined };
}

/** Returns the bytes of an identifier that is not a placeholder, or undefined. */
export function toWwn(bytes: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  const isPlaceholder = bytes.every((byte) => byte === 0) || bytes.every((byte) => byte === 0xff);
  return isPlaceholder ? undefined : Uint8Array.from(bytes);
}

function readDesignators(page: Buffer | undefined): PageIdentity {
  const identity: { -readonly [name in keyof PageIdentity]: PageIdentity[name] } = {};
  let rest = payloadOf(page);
  while (rest.length >= 4) {
    const [, kind = 0, , length = 0] = rest;
    const designator = rest.subarray(4, 4 + length);
    rest = rest.subarray(4 + length);
    const [association, type] = [(kind >> 4) & 3, kind & 15];
    if (association !== ofLogicalUnit || designator.length < length) continue;
    if (type === designatorType.naa) identity.wwn = toWwn(designator) ?? identity.wwn;
    if (type === designatorType.eui64) identity.wwn ??= toWwn(designator);
    const text = designator.toString("latin1");
    if (type !== designatorType.t10 || !text.startsWith(ataVendor)) continue;
    identity.model = toName(designator.subarray(ataVendor.length, ataVendor.length + ataModelLength));
    identity.serial = toName(designator.subarray(ataVendor.length + ataModelLength));
  }
  return identity;
}

/** Reads the data. ATA stores texts in words of two characters, the second one first. */
function readIdentifyData(data: Buffer): PageIdentity {
  if (data.length < 2 * identifyWord.end) return {};
  const words = (from: number, count: number) => Buffer.from(data.subarray(2 * from, 2 * (from + count))).swap16();
  const wwn = words(identifyWord.wwn, 4);
  return {
    model: toName(words(identifyWord.model, 20)),
    serial: toName(words(identifyWord.serial, 10)),
    // A World Wide Name begins with 5h, the format "IEEE registered".
    wwn: (wwn[0] ?? 0) >> 4 === 5 ? toWwn(wwn) : undefined,
    hasRemovableMedium: (data.readUInt16LE(2 * identifyWord.general) & 0x80) !== 0,
  };
}

function payloadOf(page: Buffer | undefined): Buffer {
  if (page === undefined || page.length < 4) return Buffer.alloc(0);
  return page.subarray(4, 4 + page.readUInt16BE(2));
}

function toName(bytes: Buffer): string | undefined {
  return bytes.toString("latin1").replaceAll("\0", "").trim() || undefined;
}
