/**
 * Reads a disk's health from smartctl's JSON.
 *
 * For NVMe, the JSON follows the SMART / Health Information log (NVM Express base specification 2.0, figure 207). For
 * ATA it follows the device statistics (ACS-5 section 9.5) and the SMART attributes, and for SCSI the log pages of
 * errors and of solid state media (SPC-5 7.3, SBC-4 6.4).
 */
import { toCounter } from "./fields.ts";
import type { SmartctlAnswer } from "./smartctl.ts";

/** The health fields of a block device. Those that the disk does not state are absent. */
export interface DiskHealth {
  readonly criticalWarning: boolean;
  readonly mediaErrors?: bigint;
  readonly availableSpareRatio?: number;
  readonly usageRatio?: number;
}

type Json = Record<string, unknown>;

/**
 * Bits of smartctl's exit status: the disk states that it is failing, or an attribute that predicts failure is at its
 * threshold.
 */
const failingBits = 0b11000;

/**
 * Places in the device statistics of ATA: "Reported Uncorrectable Errors", "Pending Error Count" and "Percentage Used
 * Endurance Indicator".
 */
const statistic = {
  uncorrectable: { page: 4, offset: 8 },
  pending: { page: 1, offset: 64 },
  endurance: { page: 7, offset: 8 },
};

/**
 * Attributes of ATA that count unreadable data, by number and by their names in smartctl's database. With other names
 * they mean something else.
 */
const errorAttributes = /^(reported_)?u(ncor|e_)|^offline_u|pending_(sector|ecc)|^total_unc/i;
const errorIds: ReadonlySet<unknown> = new Set([187, 197, 198]);
/** Attributes whose value falls from 100 as spare blocks are used up, or as cells wear out. */
const spareAttributes = /^(available_reservd_space|perc_avail_resrvd_space)$/i;
const lifeAttributes =
  /^(ssd_life_left.*|wear_leveling.*|media_wearout_indicator|percent_lifetime_remain|remaining_lifetime_perc)$/i;

/** A raw value from this on contains several figures. */
const maxRawCount = 2n ** 32n;

/** Returns the health in an answer, or undefined if it has none, as for volumes of RAID controllers. */
export function readHealth({ json, exitStatus }: SmartctlAnswer): DiskHealth | undefined {
  const status = exitStatus | (readNumber(objectIn(json, "smartctl"), "exit_status") ?? 0);
  const passed = objectIn(json, "smart_status").passed;
  const figures = { ...readScsi(json), ...readAta(json), ...readNvme(json) };
  const isFailing = (status & failingBits) !== 0 || passed === false || isSpareUsedUp(json);
  if (typeof passed !== "boolean" && !isFailing && Object.keys(figures).length === 0) return undefined;
  return { criticalWarning: isFailing || hasNvmeWarning(json), ...figures };
}

function hasNvmeWarning(json: Json): boolean {
  return (readNumber(objectIn(json, "nvme_smart_health_information_log"), "critical_warning") ?? 0) > 0;
}

/** Returns whether the spare is below its threshold. A disk should warn of that itself, but some do not set the bit. */
function isSpareUsedUp(json: Json): boolean {
  const log = objectIn(json, "nvme_smart_health_information_log");
  const threshold = readPercentage(log, "available_spare_threshold");
  const spare = readPercentage(log, "available_spare");
  return spare !== undefined && threshold !== undefined && spare < threshold;
}

function readNvme(json: Json): Omit<DiskHealth, "criticalWarning"> {
  const log = objectIn(json, "nvme_smart_health_information_log");
  // smartctl prints the digits of a number beyond 2^53 in a field of its own.
  const mediaErrors = toCounter(log.media_errors_s) ?? toCounter(log.media_errors);
  return toFigures(mediaErrors, readPercentage(log, "available_spare"), readNumber(log, "percentage_used"));
}

function readAta(json: Json): Omit<DiskHealth, "criticalWarning"> {
  const attributes = arrayIn(objectIn(json, "ata_smart_attributes"), "table");
  const errors = [
    toCounter(readStatistic(json, statistic.uncorrectable)),
    toCounter(readStatistic(json, statistic.pending)),
    ...attributes.filter(countsErrors).map(readRawCount),
  ].filter((count) => count !== undefined);
  const spare =
    findValue(attributes, spareAttributes) ?? readPercentage(objectIn(json, "spare_available"), "current_percent");
  const life = findValue(attributes, lifeAttributes);
  const used =
    readStatistic(json, statistic.endurance) ??
    readNumber(objectIn(json, "endurance_used"), "current_percent") ??
    (life === undefined ? undefined : 100 - life);
  // The same error may be counted in several places.
  return toFigures(greatest(errors), spare, used);
}

function readScsi(json: Json): Omit<DiskHealth, "criticalWarning"> {
  const log = objectIn(json, "scsi_error_counter_log");
  const uncorrected = ["read", "write", "verify"]
    .map((name) => toCounter(objectIn(log, name).total_uncorrected_errors))
    .filter((count) => count !== undefined);
  const sum = uncorrected.length === 0 ? undefined : toCounter(String(uncorrected.reduce((a, b) => a + b)));
  const defects = toCounter(json.scsi_grown_defect_list);
  const errors = [sum, defects].filter((count) => count !== undefined);
  return toFigures(greatest(errors), undefined, readNumber(json, "scsi_percentage_used_endurance_indicator"));
}

function toFigures(
  errors: bigint | undefined,
  sparePercentage: number | undefined,
  usedPercentage: number | undefined,
) {
  return {
    ...(errors !== undefined && { mediaErrors: errors }),
    ...(sparePercentage !== undefined && { availableSpareRatio: sparePercentage / 100 }),
    ...(usedPercentage !== undefined && { usageRatio: usedPercentage / 100 }),
  };
}

function readStatistic(json: Json, { page, offset }: { page: number; offset: number }): number | undefined {
  const pages = arrayIn(objectIn(json, "ata_device_statistics"), "pages");
  const table = arrayIn(pages.find((candidate) => candidate.number === page) ?? {}, "table");
  const entry = table.find((candidate) => candidate.offset === offset) ?? {};
  return objectIn(entry, "flags").valid === false ? undefined : readNumber(entry, "value");
}

function countsErrors({ id, name }: Json): boolean {
  return errorIds.has(id) && (typeof name !== "string" || errorAttributes.test(name));
}

/** Returns the count in a raw value. smartctl knows the makers' formats, and prints the count first: "8 (12 34)". */
function readRawCount(attribute: Json): bigint | undefined {
  const { value, string } = objectIn(attribute, "raw");
  const [first] = typeof string === "string" ? (/^\d+(?=$|[ /(])/.exec(string) ?? []) : [];
  const count = toCounter(first ?? value);
  return count === undefined || count >= maxRawCount ? undefined : count;
}

function findValue(attributes: readonly Json[], names: RegExp): number | undefined {
  const found = attributes.find(({ name }) => typeof name === "string" && names.test(name));
  return found && readPercentage(found, "value");
}

function greatest(counts: readonly bigint[]): bigint | undefined {
  return counts.toSorted((a, b) => Number(a - b)).at(-1);
}

function readPercentage(json: Json, name: string): number | undefined {
  const value = readNumber(json, name);
  return value !== undefined && value <= 100 ? value : undefined;
}

/** Returns a number from 0 to 2^53 - 1, or undefined. */
function readNumber(json: Json, name: string): number | undefined {
  const value = json[name];
  return typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER ? value : undefined;
}

function objectIn(json: Json, name: string): Json {
  return isObject(json[name]) ? json[name] : {};
}

function arrayIn(json: Json, name: string): Json[] {
  const value = json[name];
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
