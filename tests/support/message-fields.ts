/** Lists every field of a message, at any depth, so that a test of all fields includes new ones automatically. */
import type { DescField, DescMessage, JsonValue } from "@bufbuild/protobuf";

/** A field, its path in the message, and the JSON of a message with only this field set. */
export interface FieldPlace {
  readonly field: DescField;
  /**
   * Path of the contract's names, such as "installation_report.generation". For a list, that of its first element, such
   * as "machine_ids[0]".
   */
  readonly path: string;
  /**
   * Returns the JSON of a message in which the field has `value`. For a map, `value` is the value of its only entry.
   */
  toJson(value: JsonValue): JsonValue;
}

/**
 * Lists the fields of `schema` and of the messages in it. A well-known type, which has its own JSON form, counts as one
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
