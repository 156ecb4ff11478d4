/** What is made of smartctl's JSON, whose shapes are those of smartctl 7.3 to 7.5. */
import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { BlockDeviceSchema } from "../../../gen/cloud/agent/api/hwreport_pb.js";
import { readHealth } from "../../../src/agent/hardware/disk-health.ts";

const passed = { smart_status: { passed: true } };
const healthOf = (json: object, exitStatus = 0) => readHealth({ json: json as Record<string, unknown>, exitStatus });
const attribute = (id: number, name: string, value: number, raw: number, string = `${raw}`) => ({
  ...{ id, name, value, worst: value, thresh: 0, when_failed: "" },
  raw: { value: raw, string },
});
const attributes = (...table: object[]) => ({ ata_smart_attributes: { revision: 16, table } });
const statistics = (...pages: [number, number, number, boolean?][]) => ({
  ata_device_statistics: {
    pages: pages.map(([number, offset, value, valid = true]) => ({
      number,
      table: [{ offset, value, flags: { valid } }],
    })),
  },
});

describe("NVMe", () => {
  const log = (fields: object) => ({ ...passed, nvme_smart_health_information_log: fields });

  test("tells errors, spare and wear, beyond all of it too", () =>
    expect(
      healthOf(log({ critical_warning: 0, media_errors: 77, available_spare: 100, percentage_used: 104 })),
    ).toEqual({ criticalWarning: false, mediaErrors: 77n, availableSpareRatio: 1, usageRatio: 1.04 }));

  test.each([
    ["a bit of its warning is set", log({ critical_warning: 4 })],
    ["the disk says that it fails", { smart_status: { passed: false } }],
    [
      "the spare is below its threshold",
      log({ critical_warning: 0, available_spare: 3, available_spare_threshold: 10 }),
    ],
  ])("warns when %s", (_why, json) => expect(healthOf(json)?.criticalWarning).toBe(true));

  test.each([
    ["2^64-1", { media_errors: 2 ** 64 }, 2n ** 63n - 1n],
    ["2^64-1 with its digits", { media_errors: 2 ** 64, media_errors_s: "18446744073709551615" }, 2n ** 63n - 1n],
    ["2^128-1", { media_errors: 2 ** 128 }, 2n ** 63n - 1n],
    [
      "a count that a double cannot hold",
      { media_errors: 2 ** 53, media_errors_s: "9007199254740993" },
      2n ** 53n + 1n,
    ],
    ["less than nothing", { media_errors: -1 }, undefined],
    ["half an error", { media_errors: 0.5 }, 0n],
    ["a text", { media_errors: "many" }, undefined],
  ])("counts %s errors as what can be sent", (_what, fields, expected) => {
    const health = healthOf(log(fields));
    expect(health?.mediaErrors).toBe(expected);
    expect(toBinary(BlockDeviceSchema, create(BlockDeviceSchema, health)).length).toBeGreaterThanOrEqual(0);
  });

  test("leaves out what is no percentage", () =>
    expect(healthOf(log({ available_spare: 255, percentage_used: "3" }))).toEqual({ criticalWarning: false }));
});

describe("SATA", () => {
  test("tells what it could not read, by whichever count is highest, and how far it is worn", () => {
    const json = {
      ...passed,
      ...attributes(
        attribute(5, "Reallocated_Sector_Ct", 100, 1900),
        attribute(187, "Reported_Uncorrect", 88, 12),
        attribute(197, "Current_Pending_Sector", 100, 8),
      ),
      endurance_used: { current_percent: 97 },
      spare_available: { current_percent: 4 },
    };
    expect(healthOf(json)).toEqual({
      criticalWarning: false,
      mediaErrors: 12n,
      availableSpareRatio: 0.04,
      usageRatio: 0.97,
    });
  });

  test("tells it by its statistics, where these are valid", () => {
    const table = attributes(attribute(187, "Reported_Uncorrect", 100, 1));
    const known = statistics([4, 8, 5], [1, 64, 3], [7, 8, 130]);
    expect(healthOf({ ...passed, ...table, ...known })).toMatchObject({ mediaErrors: 5n, usageRatio: 1.3 });
    const unknown = statistics([4, 8, 5, false], [7, 8, 130, false]);
    expect(healthOf({ ...passed, ...unknown })).toEqual({ criticalWarning: false });
  });

  test.each([
    ["packed with others", attribute(187, "Reported_Uncorrect", 100, 0x3000000010007), undefined],
    ["packed as smartctl knows", attribute(197, "Current_Pending_Sector", 100, 0x3000000010007, "7 (1 3)"), 7n],
    ["under another name", attribute(198, "Host_Reads_GiB", 100, 12_345), undefined],
    ["of pending blocks", attribute(197, "Pending_Sector_Count", 100, 2), 2n],
    ["of an SSD", attribute(187, "Uncorrectable_Error_Cnt", 100, 3), 3n],
  ])("reads an attribute that is %s", (_how, entry, expected) =>
    expect(healthOf({ ...passed, ...attributes(entry) })?.mediaErrors).toBe(expected),
  );

  test.each([
    ["SSD_Life_Left", 231],
    ["Wear_Leveling_Count", 177],
    ["Media_Wearout_Indicator", 233],
    ["Percent_Lifetime_Remain", 202],
  ])("tells its wear by %s to a smartctl that does not sum it up", (name, id) =>
    expect(healthOf({ ...passed, ...attributes(attribute(id, name, 60, 0)) })?.usageRatio).toBe(0.4),
  );

  test("tells its spare by an attribute of its own rather than by what smartctl guesses", () => {
    const json = {
      ...attributes(attribute(232, "Available_Reservd_Space", 90, 0)),
      spare_available: { current_percent: 100 },
    };
    expect(healthOf({ ...passed, ...json })?.availableSpareRatio).toBe(0.9);
  });

  test.each([
    ["says that it fails", 8, true],
    ["has an attribute that foretells failure at its threshold", 16, true],
    ["had one there once", 32, false],
    ["has errors in its log", 64, false],
    ["has failed a self-test", 128, false],
    ["refused one command", 4, false],
  ])("warns or does not, when it %s", (_what, exitStatus, expected) => {
    expect(healthOf(passed, exitStatus)?.criticalWarning).toBe(expected);
    expect(healthOf({ ...passed, smartctl: { exit_status: exitStatus } })?.criticalWarning).toBe(expected);
  });
});

describe("SAS", () => {
  const counters = (read: number, write: number) => ({
    read: { total_uncorrected_errors: read },
    write: { total_uncorrected_errors: write },
  });
  test("tells its uncorrected errors or the blocks that it gave up, whichever are more, and its wear", () => {
    const json = {
      ...passed,
      scsi_grown_defect_list: 9,
      scsi_percentage_used_endurance_indicator: 88,
      scsi_error_counter_log: counters(0, 8),
    };
    expect(healthOf(json)).toEqual({ criticalWarning: false, mediaErrors: 9n, usageRatio: 0.88 });
    expect(healthOf({ ...json, scsi_error_counter_log: counters(40, 8) })?.mediaErrors).toBe(48n);
    expect(healthOf({ ...passed, scsi_error_counter_log: counters(2 ** 64, 2 ** 64) })?.mediaErrors).toBe(
      2n ** 63n - 1n,
    );
  });

  test("warns of a failure that it foresees", () =>
    expect(healthOf({ smart_status: { passed: false, scsi: { asc: 93, ascq: 16 } } }, 8)?.criticalWarning).toBe(true));
});

test.each([
  ["the volume of a RAID controller", { device: { type: "scsi" }, smart_support: { available: false } }, 4],
  ["lists for objects", { smart_status: [], ata_smart_attributes: { table: {} }, scsi_error_counter_log: null }, 0],
  ["nothing", {}, 0],
])("%s has no health", (_what, json, exitStatus) => expect(healthOf(json, exitStatus)).toBeUndefined());
