/**
 * Which bytes are NodeParameters that a Monogon agent can decode; the answers are those of Go's decoder for that
 * message.
 */
import { describe, expect, test } from "vitest";
import { parseNodeParameters } from "../../src/contract/node-parameters.ts";

const parse = (hex: string) => () => parseNodeParameters(Buffer.from(hex, "hex"));
/** A field of length-delimited content. */
const field = (number: number, ...content: string[]): string => {
  const bytes = content.join("");
  return Buffer.of(number * 8 + 2, bytes.length / 2).toString("hex") + bytes;
};
const utf8 = (text: string) => Buffer.from(text).toString("hex");
const publicKey = field(1, "d7".repeat(32));
const labels = (value: string) => field(4, field(1, field(1, utf8("rack")), field(2, value)));
const nested = "13".repeat(9_999) + "14".repeat(9_999);

describe("is taken as it is", () => {
  test.each([
    [
      "a bootstrap with a key, labels and a domain",
      field(1, publicKey, field(3, field(4, utf8("a.example"))), labels("72")),
    ],
    [
      "a registration",
      field(2, field(1, field(1, field(3, utf8("metropolis-1")))), field(2, "ffff"), field(3, "3082")),
    ],
    [
      "a network of every kind of interface",
      field(4, field(1, field(4, field(5, field(5, "61")))), field(3, field(1, "61"))),
    ],
    ["bytes that are neither text nor a message, where bytes belong", field(1, field(1, "ffff"))],
    ["a field that only newer agents know, whatever it holds", field(9, "ffff")],
    ["a known field that is a number", "0801"],
    ["an empty message in a field", field(1)],
    ["a group, which no field of today is", `4b08017a01ff4c${field(1)}`],
    ["a field of the greatest number", "f8ffffff0f01"],
    ["as many groups within one another as agents go into", nested],
  ])("%s", (_what, hex) => {
    const bytes = Buffer.from(hex, "hex");
    expect(parseNodeParameters(bytes)).toBe(bytes);
  });
});

describe("is refused, saying where", () => {
  test.each([
    ["no bytes", "", /^is empty; /],
    [
      "a message in a message that ends in the midst",
      "0a02ffff",
      /: cluster_bootstrap ends in the middle of a field; /,
    ],
    ["a text where a message belongs", field(1, "61"), /: cluster_bootstrap ends in the middle/],
    ["a length past the end", "0a0561", /: it ends in the middle of a field; /],
    ["a length of 2^32 and one more", "0a818080801061", /: it ends in the middle of a field; /],
    ["a number of eleven bytes", `08${"ff".repeat(10)}01`, /: it has a number of more than 64 bits; /],
    ["a number of 65 bits", `08${"ff".repeat(9)}02`, /: it has a number of more than 64 bits; /],
    ["a number without an end", "08ff", /: it ends in the middle of a field; /],
    ["eight bytes of which seven are there", `09${"00".repeat(7)}`, /: it ends in the middle of a field; /],
    ["four bytes of which three are there", `0d${"00".repeat(3)}`, /: it ends in the middle of a field; /],
    ["a field of number 0", "0001", /: it has a field of number 0, /],
    ["a field past the greatest number", "808080801001", /: it has a field of number 536870912, /],
    ["a wire type that there is not", "0e", /: it has a field 1 of wire type 6, /],
    ["the end of a group that did not begin", "4c", /: it has a field 9 of wire type 4, /],
    ["the end of another group", "4b5c", /: it has a field 11 of wire type 4, /],
    ["a group without an end", "4b0801", /: it has a group 9 without an end; /],
    [
      "more groups within one another than agents go into",
      `13${nested}14`.replace(/^/, "13"),
      /wire type 3|without an end/,
    ],
    [
      "a label that is no UTF-8",
      field(1, labels("ff")),
      /: cluster_bootstrap\.labels\.pairs\.value is not valid UTF-8; /,
    ],
    ["a broken label pair", field(2, field(4, "0aff")), /: cluster_register\.labels ends in the middle of a field; /],
    [
      "a broken bond",
      field(4, field(1, field(4, field(5, "2a05")))),
      /: network_config\.interface\.bond\.lacp ends in/,
    ],
    [
      "a broken message of no fields",
      field(4, field(1, field(10, "08"))),
      /: network_config\.interface\.ipv4_autoconfig ends/,
    ],
    ["more than a call carries", `4afdff1f${"00".repeat(512 * 1024)}`, /^has 524292 bytes; /],
  ])("%s", (_what, hex, message) => {
    expect(parse(hex)).toThrow(
      expect.objectContaining({ name: "InvalidFieldError", message: expect.stringMatching(message) }),
    );
  });
});
