/** The text form of machine ids, in one spelling wherever one is compared; runs in Node and in browsers. */

/** Why a text is not a machine id. */
export class InvalidMachineIdError extends Error {
  override readonly name = "InvalidMachineIdError";
}

/** Returns the canonical, lower-case form (RFC 9562 section 4) of a machine id; throws InvalidMachineIdError. */
export function parseMachineId(text: string): string {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)) {
    throw new InvalidMachineIdError("a machine id is a UUID such as 4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11");
  }
  return text.toLowerCase();
}
