/**
 * Checks that Monogon agents can decode the NodeParameters of a request. An agent fails on every answer that holds
 * parameters which it cannot decode, so they must not be stored.
 *
 * The check accepts everything that an agent accepts. It validates the encoding
 * (protobuf.dev/programming-guides/encoding) at every level, and examines the content of a length-delimited field only
 * where every version of metropolis/proto/api/configuration.proto declares a message or text: elsewhere it may be
 * bytes. Agents treat a known field of another wire type as an unknown field.
 */
import { InvalidFieldError, limitPayload } from "./installation-rules.ts";

/** The fields of a message that are messages or text: their names and types by number. */
interface Shape {
  readonly [fieldNumber: number]: readonly [name: string, type: Shape | "text"];
}

const nodeLabels: Shape = { 1: ["pairs", { 1: ["key", "text"], 2: ["value", "text"] }] };

const clusterConfiguration: Shape = {
  3: ["kubernetes", { 3: ["node_labels_to_synchronize", { 1: ["regexp", "text"] }] }],
  4: ["cluster_domain", "text"],
};

const clusterDirectory: Shape = {
  1: ["nodes", { 2: ["addresses", { 1: ["host", "text"] }], 3: ["id", "text"] }],
};

const networkInterface: Shape = {
  1: ["name", "text"],
  3: ["device", { 1: ["hardware_address", "text"], 2: ["driver", "text"] }],
  4: [
    "bond",
    {
      1: ["member_interface", "text"],
      3: ["carrier_monitor", {}],
      5: ["lacp", { 5: ["actor_system_mac", "text"] }],
      6: ["active_backup", {}],
    },
  ],
  5: ["vlan", { 1: ["parent", "text"] }],
  10: ["ipv4_autoconfig", {}],
  11: ["ipv6_autoconfig", {}],
  12: ["address", "text"],
  14: ["route", { 1: ["destination", "text"], 2: ["gateway_ip", "text"], 3: ["source_ip", "text"] }],
};

const nodeParameters: Shape = {
  1: ["cluster_bootstrap", { 3: ["initial_cluster_configuration", clusterConfiguration], 4: ["labels", nodeLabels] }],
  2: ["cluster_register", { 1: ["cluster_directory", clusterDirectory], 4: ["labels", nodeLabels] }],
  4: ["network_config", { 1: ["interface", networkInterface], 3: ["nameserver", { 1: ["ip", "text"] }] }],
};

/**
 * Returns a metropolis.proto.api.NodeParameters message in protobuf's binary form unchanged, or throws
 * InvalidFieldError.
 */
export function parseNodeParameters<Bytes extends Uint8Array>(bytes: Bytes): Bytes {
  if (bytes.length === 0) throw new InvalidFieldError("is empty; give it the message in protobuf's binary form");
  checkMessage(limitPayload(bytes), nodeParameters, "");
  return bytes;
}

/** A tag is a field number of 29 bits followed by a wire type of three bits. */
const maxTag = 2 ** 32 - 1;
/** The limit of Go's decoder. */
const maxGroupDepth = 10_000;

/**
 * Throws InvalidFieldError unless the message can be decoded. `path` names it in errors, and ends with a dot unless it
 * is empty.
 */
function checkMessage(bytes: Uint8Array, shape: Shape, path: string): void {
  const reader = new FieldReader(bytes, path);
  /** Field numbers of the groups that have not ended. */
  const groups: number[] = [];
  while (!reader.isAtEnd) {
    const tag = reader.readVarint();
    const [number, wireType] = [Math.floor(tag / 8), tag % 8];
    if (number === 0 || tag > maxTag) reader.refuse(`has a field of number ${number}, which protobuf does not allow`);
    if (wireType === 0) reader.readVarint();
    else if (wireType === 1) reader.readBytes(8);
    else if (wireType === 2)
      checkValue(reader.readBytes(reader.readVarint()), groups.length > 0 ? {} : shape, number, path);
    else if (wireType === 3 && groups.length < maxGroupDepth) groups.push(number);
    else if (wireType === 4 && groups.at(-1) === number) groups.pop();
    else if (wireType === 5) reader.readBytes(4);
    else reader.refuse(`has a field ${number} of wire type ${wireType}, which cannot stand there`);
  }
  if (groups.length > 0) reader.refuse(`has a group ${groups.at(-1)} without an end`);
}

function checkValue(value: Uint8Array, shape: Shape, number: number, path: string): void {
  const [name, type] = shape[number] ?? [];
  if (type === "text") checkText(value, `${path}${name}`);
  else if (type !== undefined) checkMessage(value, type, `${path}${name}.`);
}

function checkText(value: Uint8Array, path: string): void {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(value);
  } catch {
    refuse(path, "is not valid UTF-8");
  }
}

/** Reads the parts of one message's fields. Throws InvalidFieldError where the message is malformed. */
class FieldReader {
  readonly #bytes: Uint8Array;
  readonly #path: string;
  #position = 0;

  constructor(bytes: Uint8Array, path: string) {
    this.#bytes = bytes;
    this.#path = path;
  }

  get isAtEnd(): boolean {
    return this.#position === this.#bytes.length;
  }

  /** Returns a number that is exact up to 2^53, more than tags and lengths need. */
  readVarint(): number {
    let value = 0;
    for (let index = 0; index < 10; index++) {
      const [byte = 0] = this.readBytes(1);
      value += (byte & 0x7f) * 2 ** (7 * index);
      // A number of 64 bits has one bit in the tenth byte.
      if (byte < 0x80 && (index < 9 || byte < 2)) return value;
    }
    return this.refuse("has a number of more than 64 bits");
  }

  readBytes(length: number): Uint8Array {
    const end = this.#position + length;
    if (end > this.#bytes.length) this.refuse("ends in the middle of a field");
    const read = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return read;
  }

  refuse(reason: string): never {
    return refuse(this.#path.slice(0, -1) || "it", reason);
  }
}

function refuse(what: string, reason: string): never {
  throw new InvalidFieldError(
    `is not a protobuf message of type metropolis.proto.api.NodeParameters: ${what} ${reason}; encode that message in binary`,
  );
}
