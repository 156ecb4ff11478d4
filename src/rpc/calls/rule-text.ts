/** Says in words which rule of the contract a field breaks, where protovalidate's message tells people little. */

const line = "must neither contain control characters nor begin or end with a space";
const noControls = "must not contain control characters";
const printableAscii = "must be printable ASCII without spaces";

/** What a text must be, by the contract's patterns, which protovalidate's messages quote. */
const patterns: ReadonlyMap<string, string> = new Map([
  [String.raw`^([^\pZ\p{Cc}]([^\p{Cc}]*[^\pZ\p{Cc}])?)?$`, line],
  [String.raw`^[^\p{Cc}]*$`, noControls],
  [String.raw`^[^\x00-\x1f\x7f]*$`, noControls],
  ["^[!-~]*$", printableAscii],
  ["^[!-~]+$", printableAscii],
  [String.raw`^[\t\n\r -~]*$`, "must be PEM, which is ASCII"],
  ["^[a-z0-9_]*$", "must be lower-case letters, digits and underscores"],
  ["^[A-Za-z0-9_-]*$", "must be a token that the server has returned"],
  ["^[0-9a-f]{16}$", "must be the id of a token, 16 hexadecimal digits"],
  [
    "^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$",
    'must be 1 to 64 letters, digits, ".", "_", "@" and "-", a letter or digit first',
  ],
  ["^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", "must be the kernel name of a disk, such as sda"],
  ["^[0-9A-Fa-f.:]*$", "must be an IP address"],
  ["^https?$", "must be https or http"],
  ["^https?://[!-~]+$", "must be a URL such as https://hooks.example/bmaas"],
  [String.raw`^https?://[^\s/]+(/\S*)?$`, "must be a URL such as https://images.example/debian-13.img"],
  ["^[a-z_*]{1,40}([.][a-z_*]{1,40})?$", "must be a type of events such as issue.opened, or installation.*"],
  ["^msg_[0-9a-f]{32}$", "must be the id of a delivery, which begins with msg_"],
  ["^sha256:[0-9a-f]{64}$", "must be sha256: and 64 lower-case hexadecimal digits"],
  ["^((0x)?([0-9A-Fa-f]{2}){8,16})?$", "must be a World Wide Name of 16 to 32 hexadecimal digits"],
  ["^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$", 'must be 1 to 128 letters, digits, "_", "." and "-"'],
]);

/** Returns protovalidate's message about a broken rule in words, or unchanged if it is in words already. */
export function describeRule(message: string): string {
  if (message === "must be at least 1 characters") return "must not be empty";
  if (message === "must be greater than now") return "must be in the future";
  const [, pattern = ""] = /^does not match regex pattern `(.*)`$/s.exec(message) ?? [];
  return patterns.get(pattern) ?? message;
}
