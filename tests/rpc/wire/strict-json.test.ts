/**
 * No value is taken from JSON as another one than was sent: on both listeners, in every message, on the lane and on
 * Connect's way.
 */
import { type DescMessage, fromJsonString, type JsonValue, ScalarType } from "@bufbuild/protobuf";
import { DurationSchema, Int64ValueSchema, StructSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { ListMachinesRequestSchema } from "../../../gen/bmaas/admin/v1/machine_service_pb.js";
import {
  AgentHardwareReportSchema,
  HeartbeatRequestSchema,
  OSInstallationReportSchema,
} from "../../../gen/cloud/bmaas/server/api/agent_pb.js";
import { createStrictDecoder } from "../../../src/rpc/wire/strict-json.ts";
import { listFields } from "../../support/message-fields.ts";
import { listMethods } from "../../support/request-messages.ts";

const requests = listMethods().map(({ input }) => input);
const places = requests.flatMap((schema) => listFields(schema).map((place) => ({ schema, ...place })));

const wideTypes = [ScalarType.INT64, ScalarType.UINT64, ScalarType.SINT64, ScalarType.FIXED64, ScalarType.SFIXED64];
const isWide = (scalar: ScalarType | undefined) => scalar !== undefined && wideTypes.includes(scalar);

/** What becomes of a JSON text: what it is refused with, or the message. */
function read(schema: DescMessage, json: string | Uint8Array) {
  try {
    const text = createStrictDecoder(schema).decode(typeof json === "string" ? Buffer.from(json) : json);
    return fromJsonString(schema, text);
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error, Code.InvalidArgument);
    return `${Code[code]} ${rawMessage}`;
  }
}

/** A JSON text in which a number stands as it is written here. */
const withNumber = (toJson: (value: JsonValue) => JsonValue, number: string) =>
  JSON.stringify(toJson("the number")).replace('"the number"', number);

describe("a 64-bit field", () => {
  const wide = places.filter(({ field }) => isWide(field.scalar));

  test("stands in the messages of both listeners", () => {
    const paths = wide.map(({ path }) => path);
    expect(paths).toContain("installation_report.generation");
    expect(paths).toContain("hardware_report.report.network_interface[0].supported_speed_bytes[0]");
    expect(paths).toContain("filter.min_memory_bytes");
  });

  test.each(wide.map((place) => [`${place.schema.name} ${place.path}`, place] as const))(
    "%s takes no number that JSON rounds and no text that is not decimal",
    (_name, { schema, path, toJson }) => {
      for (const number of ["9007199254740992", "9007199254740993", "-9007199254740993", "1e20", "0.5"]) {
        const expected = `InvalidArgument ${path}: is not an integer from -(2^53-1) to 2^53-1`;
        expect(read(schema, withNumber(toJson, number)), number).toContain(expected);
      }
      for (const number of ["9007199254740991.4", "1.0000000000000000001", "10000000000000000001e-19"]) {
        const expected = `InvalidArgument ${path}: is not written as an integer`;
        expect(read(schema, withNumber(toJson, number)), number).toBe(expected);
      }
      for (const text of ["0x10", " 1", "1 ", "", "1.0", "1e3", "01", "+1", "0b1", "1_000", "١"]) {
        const expected = `InvalidArgument ${path}: is not an integer in plain decimal digits`;
        expect(read(schema, JSON.stringify(toJson(text))), JSON.stringify(text)).toBe(expected);
      }
    },
  );

  test.each([
    ["9007199254740991", 9007199254740991n],
    ["-9007199254740991", -9007199254740991n],
    ["1e3", 1000n],
    ["5.0", 5n],
    ['"9007199254740993"', 9007199254740993n],
    ['"9223372036854775807"', 2n ** 63n - 1n],
    ['"-9223372036854775808"', -(2n ** 63n)],
  ])("takes %s as it is", (number, generation) => {
    expect(read(OSInstallationReportSchema, `{"generation":${number}}`)).toMatchObject({ generation });
  });

  test("takes nothing that is beyond its 64 bits", () => {
    expect(read(OSInstallationReportSchema, '{"generation":"9223372036854775808"}')).toContain(
      "OSInstallationReport.generation",
    );
  });

  test("is found by either of its names, by a name in escapes, and in a wrapper", () => {
    for (const key of ["installation_report", "installationReport", "installation\\u0052eport"]) {
      const json = `{"${key}":{"generation":9007199254740993}}`;
      expect(read(HeartbeatRequestSchema, json)).toContain("InvalidArgument installation_report.generation: ");
    }
    expect(read(Int64ValueSchema, "9007199254740993")).toContain("InvalidArgument the message: is not an integer");
    expect(read(Int64ValueSchema, '"9007199254740993"')).toMatchObject({ value: 9007199254740993n });
  });
});

test("a number of 32 bits, or with a fraction, is decimal as well", () => {
  const device = (json: string) => `{"report":{"blockDevice":[{},${json}]}}`;
  const place = "InvalidArgument report.block_device[1]";
  const refused = {
    '{"logicalBlockSizeBytes":"0x200"}': `${place}.logical_block_size_bytes: is not an integer in plain decimal digits`,
    '{"logicalBlockSizeBytes":512.00000000000000001}': `${place}.logical_block_size_bytes: is not written as an integer`,
    '{"usageRatio":"0x1"}': `${place}.usage_ratio: is not a decimal number`,
    '{"usageRatio":"1."}': `${place}.usage_ratio: is not a decimal number`,
  };
  for (const [json, text] of Object.entries(refused)) expect(read(AgentHardwareReportSchema, device(json))).toBe(text);
  for (const ratio of ["0.029999999329447746", '"0.5"', '"1e-3"', '"NaN"', '"Infinity"', '"-Infinity"']) {
    expect(read(AgentHardwareReportSchema, device(`{"usageRatio":${ratio}}`)), ratio).toBeInstanceOf(Object);
  }
});

test.each([
  "2027-02-30T00:00:00Z",
  "2026-02-29T00:00:00Z",
  "2027-04-31T00:00:00Z",
  "2027-04-32T00:00:00Z",
  "2027-00-01T00:00:00Z",
  "2027-13-01T00:00:00Z",
  "2027-01-00T00:00:00Z",
  "2027-01-01T24:00:00Z",
  "2027-01-01T23:60:00Z",
  "2027-01-01T23:59:60Z",
  "2027-01-01T00:00:00+24:00",
  "2027-01-01T00:00:00+01:60",
  "2027-01-01T00:00:00",
  "2027-01-01 00:00:00Z",
  "2027-01-01t00:00:00z",
  "2027-01-01T00:00:00.Z",
  "2027-01-01T00:00:00.1234567890Z",
  "+02027-01-01T00:00:00Z",
  "",
])("the time %j, which no clock shows, is refused", (text) => {
  expect(read(TimestampSchema, JSON.stringify(text))).toContain(
    "InvalidArgument the message: is not a time of the calendar",
  );
});

test.each([
  ["2028-02-29T23:59:59Z", 1835481599n, 0],
  ["2027-01-01T01:00:00.5+01:00", 1798761600n, 500_000_000],
  ["0001-01-01T00:00:00Z", -62135596800n, 0],
  ["9999-12-31T23:59:59.999999999Z", 253402300799n, 999_999_999],
])("the time %s is taken as it is", (text, seconds, nanos) => {
  expect(read(TimestampSchema, JSON.stringify(text))).toMatchObject({ seconds, nanos });
});

test("a duration is seconds and nothing more", () => {
  for (const text of ["1sx", "1s 2s", "1", "1.s", ".5s", "1.1234567890s", "0x1s", " 1s"]) {
    expect(read(DurationSchema, JSON.stringify(text)), text).toContain(
      "InvalidArgument the message: is not a number of seconds",
    );
  }
  expect(read(DurationSchema, '"-1.5s"')).toMatchObject({ seconds: -1n, nanos: -500_000_000 });
});

test("bytes that are no UTF-8 are no text", () => {
  const json = Buffer.concat([Buffer.from('{"machineId":"'), Buffer.from([0xff]), Buffer.from('"}')]);
  expect(read(HeartbeatRequestSchema, json)).toContain("InvalidArgument the message is JSON but not encoded in UTF-8");
});

describe("an error text is well-formed, so that grpc-message can hold it", () => {
  test.each([
    ["an unknown name", '{"\\ud800":1}', /the message: holds half a character/],
    ["an unknown enum value", '{"filter":{"states":["\\uDFFF"]}}', /half a character/],
    ["a number", '{"pageSize":"\\ud800"}', /^InvalidArgument page_size: is not an integer/],
    ["a text", '{"pageToken":"a\\ud800b"}', /half a character/],
    ["a value of an unknown field", '{"x":[{"y":["\\udc00\\ud800"]}]}', /half a character/],
    ["deeper than the stack", `{"x":${"[".repeat(200_000)}"\\ud800"${"]".repeat(200_000)}}`, /half a character/],
  ])("for half a character in %s", (_, json, expected) => {
    const answer = read(ListMachinesRequestSchema, json);
    expect(answer).toMatch(expected);
    expect(String(answer).isWellFormed()).toBe(true);
  });

  test("wherever the parser cuts the text that it quotes", () => {
    const cuts = new Set<boolean>();
    for (let length = 0; length < 60; length++) {
      const json = `{"pageToken": ${"x".repeat(length % 3)}${"\u{1F600}".repeat(length)}}`;
      const answer = String(read(ListMachinesRequestSchema, json));
      expect(answer).toMatch(/^InvalidArgument cannot decode message bmaas.admin.v1.ListMachinesRequest from JSON: /);
      expect(answer.isWellFormed()).toBe(true);
      cuts.add(answer.includes("\ufffd"));
    }
    // Otherwise nothing was cut, and nothing is proved.
    expect(cuts).toContain(true);
  });

  test("and whole characters in escapes are taken", () => {
    expect(read(ListMachinesRequestSchema, '{"pageToken":"\\ud83d\\ude00"}')).toMatchObject({ pageToken: "\u{1F600}" });
  });
});

test("what is wrong in another way is left to be refused as ever", () => {
  expect(read(HeartbeatRequestSchema, "{")).toContain("InvalidArgument cannot decode message");
  expect(read(HeartbeatRequestSchema, "[9007199254740993]")).toContain("InvalidArgument cannot decode message");
  expect(read(HeartbeatRequestSchema, '{"machineID":"x"}')).toContain('key "machineID" is unknown');
  expect(read(HeartbeatRequestSchema, '{"machineId":"a","machineId":"b"}')).toContain(
    'duplicate object key "machineId"',
  );
  expect(read(StructSchema, '{"fields":{"a":{"numberValue":"x"}}}')).toMatchObject({ fields: { fields: {} } });
});
