/** The text form of machine ids, in one spelling wherever one is compared; runs in Node and in browsers. */

/** Why a text is not a machine id. */
export class InvalidMachineIdError extends Error {
  override readonly name = "InvalidMachineIdError";
}

/** Returns the canonical, lower-case form (RFC 9562 section 4) of a machine id; throws InvalidMachineIdError. */
export function parseMachineId(text: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) {
    throw new InvalidMachineIdError("a machine id is a UUID such as 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11");
  }
  return text.toLowerCase();
}

/**
 * Returns the canonical form of a machine id as agents may spell it: with `urn:uuid:` before it, in braces, or without
 * hyphens, as uuid.Parse of github.com/google/uuid takes it, by which servers of the field read it. Throws
 * InvalidMachineIdError.
 */
export function parseAgentMachineId(text: string): string {
  const [, inUrn, inBraces] = /^(?:urn:uuid:(.{36})|\{(.{36})\})$/i.exec(text) ?? [];
  const isBare = /^[0-9a-f]{32}$/i.test(text);
  const hyphenated = isBare ? text.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-") : text;
  return parseMachineId(inUrn ?? inBraces ?? hyphenated);
}
