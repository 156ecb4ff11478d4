/**
 * What a disk says about its own health, out of smartctl's JSON.
 *
 * The JSON of NVMe follows the SMART / Health Information log (NVM Express base specification 2.0, figure 207), that of
 * ATA the device statistics (ACS-5 section 9.5) and SMART attributes, that of SCSI the log pages of errors and of solid
 * state media (SPC-5 7.3, SBC-4 6.4).
 */
import { toCounter } from "./fields.ts";
import type { SmartctlAnswer } from "./smartctl.ts";

/** The health fields of a block device; those that the disk does not tell are absent. */
export interface DiskHealth {
  readonly criticalWarning: boolean;
  readonly mediaErrors?: bigint;
  readonly availableSpareRatio?: number;
  readonly usageRatio?: number;
}

type Json = Record<string, unknown>;

/**
 * Bits of smartctl's exit status: the disk says that it fails, and an attribute that foretells failure is at its
 * threshold.
 */
const failingBits = 0b11000;

/**
 * Where the device statistics of ATA hold "Reported Uncorrectable Errors", "Pending Error Count" and "Percentage Used
 * Endurance Indicator".
 */
const statistic = {
  uncorrectable: { page: 4, offset: 8 },
  pending: { page: 1, offset: 64 },
  endurance: { page: 7, offset: 8 },
};

/**
 * Attributes of ATA that count what could not be read, and their names in smartctl's database; under other names they
 * are something else.
 */
const errorAttributes = /^(reported_)?u(ncor|e_)|^offline_u|pending_(sector|ecc)|^total_unc/i;
const errorIds: ReadonlySet<unknown> = new Set([187, 197, 198]);
/** Attributes whose value falls from 100 as spare blocks are used up, and as cells wear out. */
const spareAttributes = /^(available_reservd_space|perc_avail_resrvd_space)$/i;
const lifeAttributes =
  /^(ssd_life_left.*|wear_leveling.*|media_wearout_indicator|percent_lifetime_remain|remaining_lifetime_perc)$/i;

/** A raw value beyond this packs several figures. */
const maxRawCount = 2n ** 32n;

/** Reads an answer; undefined when there is nothing of health in it, as for the volumes of RAID controllers. */
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

/** Below its threshold a disk warns of its spare itself; some leave the bit out. */
function isSpareUsedUp(json: Json): boolean {
  const log = objectIn(json, "nvme_smart_health_information_log");
  const threshold = readPercentage(log, "available_spare_threshold");
  const spare = readPercentage(log, "available_spare");
  return spare !== undefined && threshold !== undefined && spare < threshold;
}

function readNvme(json: Json): Omit<DiskHealth, "criticalWarning"> {
  const log = objectIn(json, "nvme_smart_health_information_log");
  // A number beyond 2^53 stands beside its digits.
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

/** smartctl knows the makers' ways to pack a raw value, and prints the count first: "8 (12 34)". */
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

/** A number that is not negative, and no more than any of these figures takes. */
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
