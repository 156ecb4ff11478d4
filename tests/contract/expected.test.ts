/** What is expected of a machine: which facts identify one, and in which spellings they are the same. */
import { expect, test } from "vitest";
import {
  parseExpectedMac,
  parseExpectedSerialNumber,
  parseExpectedUuid,
  sortExpectedMacs,
  toExpectedIdentifiers,
} from "../../src/contract/expected.ts";

test.each([
  [parseExpectedSerialNumber, "GK47 px2", "GK47 px2"],
  [parseExpectedUuid, "4C4C4544-0047-4B10-8034-C7C04F505832", "4c4c4544-0047-4b10-8034-c7c04f505832"],
  [parseExpectedUuid, "4c4c454400474b108034c7c04f505832", "4c4c4544-0047-4b10-8034-c7c04f505832"],
  [parseExpectedMac, "B0-4F-13-0A-1C-2E", "b0:4f:13:0a:1c:2e"],
  [parseExpectedMac, "b04f.130a.1c2e", "b0:4f:13:0a:1c:2e"],
])("%o takes %j as %j", (parse, text, value) => {
  expect(parse(text)).toBe(value);
});

test.each([
  [parseExpectedSerialNumber, "", /identifies none/],
  [parseExpectedSerialNumber, "To Be Filled By O.E.M.", /many machines share/],
  [parseExpectedSerialNumber, "0123456789", /many machines share/],
  [parseExpectedSerialNumber, " SN", /not a serial number/],
  [parseExpectedSerialNumber, "x".repeat(129), /at most 128 characters/],
  [parseExpectedSerialNumber, "a\nb", /not a serial number/],
  [parseExpectedUuid, "SN-1", /not a UUID/],
  [parseExpectedUuid, "00000000-0000-0000-0000-000000000000", /many machines share/],
  [parseExpectedUuid, "ffffffff-ffff-ffff-ffff-ffffffffffff", /many machines share/],
  // AMI's default in the other byte order.
  [parseExpectedUuid, "00020003-0004-0005-0006-000700080009", /many machines share/],
  [parseExpectedMac, "b0:4f:13", /not the address/],
  [parseExpectedMac, "00:00:00:00:00:00", /many machines share/],
])("%o refuses %j", (parse, text, words) => {
  expect(() => parse(text)).toThrow(words);
});

test("addresses are in order, none twice, and not too many", () => {
  expect(sortExpectedMacs(["02:00:00:00:00:02", "02:00:00:00:00:01", "02:00:00:00:00:02"])).toEqual([
    "02:00:00:00:00:01",
    "02:00:00:00:00:02",
  ]);
  const many = Array.from({ length: 65 }, (_, index) => `02:00:00:00:00:${index.toString(16).padStart(2, "0")}`);
  expect(() => sortExpectedMacs(many)).toThrow(/more than 64/);
});

test("each fact has every spelling in which a machine may report it", () => {
  expect(
    toExpectedIdentifiers({
      serialNumber: "GK47 PX2",
      systemUuid: "00112233-4455-6677-8899-aabbccddeeff",
      macAddresses: ["b0:4f:13:0a:1c:2e"],
    }),
  ).toEqual([
    ["serial_number:gk47px2"],
    ["system_uuid:00112233445566778899aabbccddeeff", "system_uuid:33221100554477668899aabbccddeeff"],
    ["mac:b04f130a1c2e"],
  ]);
  // A UUID that is the same in both orders.
  expect(toExpectedIdentifiers({ systemUuid: "11111111-2222-3333-4455-66778899aabb" })).toHaveLength(1);
  expect(toExpectedIdentifiers({ systemUuid: "11111111-2222-3333-4455-66778899aabb" })[0]).toHaveLength(1);
});
