/** Names of the contract's enum values, as the command line and URLs have them: "given_up" for its DeliveryState. */

/** The values of an enum by name, without the value 0. */
export interface EnumNames<Value extends number> {
  readonly names: readonly string[];
  /** Returns the name, or "unknown" with the number of a value that only a newer server knows. */
  nameOf(value: Value): string;
  /** Returns the value, or undefined for an unknown name. */
  find(name: string): Value | undefined;
}

/** Returns the names of an enum that protobuf-es has generated. */
export function namesOf<Value extends number>(values: object): EnumNames<Value> {
  const entries = Object.entries(values as Record<string, string | Value>);
  const byName = new Map(
    entries.flatMap(([name, value]) => (typeof value === "number" && value !== 0 ? [[name.toLowerCase(), value]] : [])),
  );
  const byValue = new Map([...byName].map(([name, value]) => [value, name]));
  return {
    names: [...byName.keys()],
    nameOf: (value) => byValue.get(value) ?? `unknown (${value})`,
    find: (name) => byName.get(name),
  };
}
