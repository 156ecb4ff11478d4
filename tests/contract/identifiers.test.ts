/** The normalized form of identifiers is the same for every spelling. */
import { expect, test } from "vitest";
import {
  isPlaceholderDiskSerialNumber,
  isPlaceholderMac,
  isPlaceholderWwn,
  isSharedDiskSerialNumber,
} from "../../src/contract/firmware-placeholders.ts";
import { normalizeHex, normalizeSerialNumber, swapUuidBytes } from "../../src/contract/identifiers.ts";

test.each([
  ["aa:bb:cc:dd:ee:0f", "aabbccddee0f"],
  ["AA-BB-CC-DD-EE-0F", "aabbccddee0f"],
  ["aabb.ccdd.ee0f", "aabbccddee0f"],
  ["AABBCCDDEE0F", "aabbccddee0f"],
  ["AA BB CC", "aabbcc"],
  ["0x5000C500A1B2C3D4", "5000c500a1b2c3d4"],
  ["wwn-0x5000c500a1b2c3d4", "5000c500a1b2c3d4"],
  ["50:00:c5:00:a1:b2:c3:d4", "5000c500a1b2c3d4"],
  ["naa.5000c500a1b2c3d4", "5000c500a1b2c3d4"],
  ["eui.0025385b71b0a1c2", "0025385b71b0a1c2"],
  ["nvme-eui.0025385b71b0a1c2", "0025385b71b0a1c2"],
  ["4C4C4544-0050-3310-8044-B4C04F4E3733", "4c4c4544005033108044b4c04f4e3733"],
  ["{4c4c4544-0050-3310-8044-b4c04f4e3733}", "4c4c4544005033108044b4c04f4e3733"],
])("the digits of %s are %s", (text, digits) => expect(normalizeHex(text)).toBe(digits));

test.each(["", "-", "0x", "S3EVNX0K", "aa:bb:cc:dd:ee:0g", "rack-7", "aa/bb"])("%j has no digits", (text) =>
  expect(normalizeHex(text)).toBeUndefined(),
);

test("a serial number has no case and no white space", () => {
  expect(normalizeSerialNumber("  wd-WX 12\t34 ")).toBe("wd-wx1234");
});

test("a UUID in the other byte order is the same when it is turned twice", () => {
  const digits = "4c4c4544005033108044b4c04f4e3733";
  expect(swapUuidBytes(digits)).toBe("44454c4c500010338044b4c04f4e3733");
  expect(swapUuidBytes(swapUuidBytes(digits))).toBe(digits);
});

test.each([
  ["QM00001", false, true],
  ["drive-scsi0", false, true],
  ["drive-virtio11", false, true],
  ["0000000000", true, true],
  ["N/A", true, true],
  ["0123456789", true, true],
  ["Default string 2", true, true],
  ["WD-WX12345678", false, false],
  ["S3EVNX0K123456", false, false],
  ["QM1", false, false],
  ["drive7", false, false],
])("the disk's serial number %s: placeholder %s, shared by machines %s", (text, isPlaceholder, isShared) => {
  expect([isPlaceholderDiskSerialNumber(text), isSharedDiskSerialNumber(text)]).toEqual([isPlaceholder, isShared]);
});

test("addresses and WWNs of one repeated byte identify nothing, nor do addresses that makers repeat", () => {
  expect(["000000000000", "ffffffffffff", "be3af2b6059f"].map(isPlaceholderMac)).toEqual([true, true, true]);
  expect(isPlaceholderMac("525400123456")).toBe(false);
  expect(isPlaceholderWwn("0".repeat(16))).toBe(true);
  expect(isPlaceholderWwn("5000c500a1b2c3d4")).toBe(false);
});
