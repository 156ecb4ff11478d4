/** Every field that a message can hold, however deep, so that a test of all of them meets a new one by itself. */
import type { DescField, DescMessage, JsonValue } from "@bufbuild/protobuf";

/** A field, its place in the message, and the JSON of a message in which nothing but it is set. */
export interface FieldPlace {
  readonly field: DescField;
  /**
   * Names as the contract has them, "installation_report.generation"; of a list its first element, "machine_ids[0]".
   */
  readonly path: string;
  /** Of a map, `value` is the value of its one entry. */
  toJson(value: JsonValue): JsonValue;
}

/**
 * Lists the fields of `schema` and of the messages in it; the well-known types, whose JSON is their own, count as one
 * field.
 */
export function listFields(schema: DescMessage, depth = 0): FieldPlace[] {
  if (depth > 10) throw new Error(`${schema.typeName} holds itself`);
  return schema.fields.flatMap((field) => {
    const place: FieldPlace = {
      field,
      path: field.name + (field.fieldKind === "list" ? "[0]" : field.fieldKind === "map" ? '["a"]' : ""),
      toJson: (value) => ({ [field.jsonName]: inside(field, value) }),
    };
    if (field.message === undefined || field.message.typeName.startsWith("google.protobuf.")) return [place];
    const inner = listFields(field.message, depth + 1).map((below) => ({
      field: below.field,
      path: `${place.path}.${below.path}`,
      toJson: (value: JsonValue) => place.toJson(below.toJson(value)),
    }));
    return [place, ...inner];
  });
}

function inside(field: DescField, value: JsonValue): JsonValue {
  if (field.fieldKind === "list") return [value];
  return field.fieldKind === "map" ? { a: value } : value;
}
