import { describe, expect, test } from "vitest";
import {
  isPlaceholderName,
  isPlaceholderSerialNumber,
  isPlaceholderUuid,
} from "../../src/contract/firmware-placeholders.ts";

test.each([
  "To Be Filled By O.E.M.",
  "To be filled by O.E.M.",
  "ToBeFilledByO.E.M",
  "Default string",
  "Default_string",
  "$(DEFAULT_STRING)",
  "System manufacturer",
  "System Product Name",
  "All Series",
  "Not Applicable                  ",
  "N/A",
  "(null string)",
  "<BAD INDEX>",
  "x.x",
  "O.E.M.",
  "empty",
  "Unknow",
  "..................",
  "   ",
  "*",
])("%j names nothing", (text) => {
  expect(isPlaceholderName(text)).toBe(true);
});

test.each([
  "Dell Inc.",
  "PowerEdge R640",
  "Supermicro",
  "Super Server",
  "HP",
  "1.0",
  "00",
  "X11DPH-T",
  "清华同方",
  "OEMSYS GmbH",
  "Default Networks Ltd",
])("%j names something", (text) => {
  expect(isPlaceholderName(text)).toBe(false);
});

describe("serial numbers", () => {
  test.each([
    "System Serial Number",
    "Base Board Serial Number",
    "Chassis Serial Number",
    "0123456789",
    "1234567890",
    "12345",
    "012345678912345678912345678",
    "MB-1234567890",
    "SYS-9876543210",
    "0",
    "0000000000",
    "XXXXXXXXXX",
    "ffffffff",
    "\ufffd\ufffd\ufffd\ufffd",
    "Not Specified",
    "INVALID",
  ])("such as %j are those of many machines", (text) => {
    expect(isPlaceholderSerialNumber(text)).toBe(true);
  });

  test.each(["4Y32JP2", "S16604645724353", "VM155S027997", "1234", "00001", "1234567891011", "SN00123", "CZ1234567Z"])(
    "such as %j are those of one",
    (text) => {
      expect(isPlaceholderSerialNumber(text)).toBe(false);
    },
  );
});

describe("UUIDs", () => {
  test.each([
    "00000000-0000-0000-0000-000000000000",
    "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
    "fefefefe-fefe-fefe-fefe-fefefefefefe",
    "03000200-0400-0500-0006-000700080009",
    "00020003-0004-0005-0006-000700080009",
    "12345678-1234-5678-90AB-CDDEEFAABBCC",
    "03020100-0504-0706-0809-0a0b0c0d0e0f",
    "4C4C4544-0000-2010-8020-80C04F202020",
  ])("such as %s are those of many machines, in either order of bytes", (uuid) => {
    expect(isPlaceholderUuid(uuid)).toBe(true);
  });

  test.each([
    // Supermicro's, of which the last six bytes are a MAC address.
    "00000000-0000-0000-0000-0cc47a59ec4a",
    "4c4c4544-0059-3310-8032-b4c04f4a5032",
    "03d40274-0435-05bf-d906-d20700080009",
    "none",
  ])("such as %s are those of one", (uuid) => {
    expect(isPlaceholderUuid(uuid)).toBe(false);
  });
});
