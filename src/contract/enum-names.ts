/** Names of the contract's enum values for people: "installation_failed" for MACHINE_STATE_INSTALLATION_FAILED. */

/** The values of an enum by name, without the value 0. */
export interface EnumNames<Value extends number> {
  readonly names: readonly string[];
  /** Returns the name, or text with the number of a value that only a newer server knows. */
  nameOf(value: Value): string;
  /** Returns the value, or undefined for an unknown name. Dashes count as underscores. */
  find(name: string): Value | undefined;
}

/** Returns the names of an enum that protobuf-es has generated. */
export function namesOf<Value extends number>(values: object): EnumNames<Value> {
  const entries = Object.entries(values).filter(([, value]) => typeof value === "number" && value !== 0);
  const byName = new Map(entries.map(([name, value]) => [name.toLowerCase(), value as Value]));
  const byValue = new Map([...byName].map(([name, value]) => [value, name]));
  return {
    names: [...byName.keys()],
    nameOf: (value) => byValue.get(value) ?? `unknown (${value})`,
    find: (name) => byName.get(name.toLowerCase().replaceAll("-", "_")),
  };
}
