/** Parses machine ids into the one spelling in which they are compared; runs in Node and in browsers. */

/** A text is not a machine id. */
export class InvalidMachineIdError extends Error {
  override readonly name = "InvalidMachineIdError";
}

/** Returns the canonical, lower-case form (RFC 9562 section 4) of a machine id. Throws InvalidMachineIdError. */
export function parseMachineId(text: string): string {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) {
    throw new InvalidMachineIdError("a machine id is a UUID such as 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11");
  }
  return text.toLowerCase();
}

/**
 * Returns the canonical form of a machine id in a spelling of agents: also with the prefix `urn:uuid:`, in braces, or
 * without hyphens. Servers in the field accept these because uuid.Parse of github.com/google/uuid does. Throws
 * InvalidMachineIdError.
 */
export function parseAgentMachineId(text: string): string {
  const [, inUrn, inBraces] = /^(?:urn:uuid:(.{36})|\{(.{36})\})$/i.exec(text) ?? [];
  const isBare = /^[0-9a-f]{32}$/i.test(text);
  const hyphenated = isBare ? text.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-") : text;
  return parseMachineId(inUrn ?? inBraces ?? hyphenated);
}
