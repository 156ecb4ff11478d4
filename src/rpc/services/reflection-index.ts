/** Finds the protobuf files that declare the symbols that a reflection client requests. */
import {
  type DescExtension,
  type DescFile,
  type DescMessage,
  type DescService,
  type Registry,
  toBinary,
} from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** A google.protobuf.FileDescriptorProto in protobuf's binary form. */
type FileBytes = Uint8Array;

/**
 * Index of protobuf files. Answers contain the requested file first, and then every file that it depends on. They are
 * undefined for what no file declares.
 */
export interface ReflectionIndex {
  /** Full names of the services, sorted. */
  readonly services: readonly string[];
  findFile(name: string): FileBytes[] | undefined;
  /** Finds the file of the full name of a service, method, message, field, oneof, enum, enum value or extension. */
  findSymbol(name: string): FileBytes[] | undefined;
  findExtension(containingType: string, number: number): FileBytes[] | undefined;
  /** Returns the numbers of the extensions of a message, ascending. */
  findExtensionNumbers(containingType: string): number[] | undefined;
}

/**
 * Creates an index of the files of `services`, of their dependencies, and of `others`, such as those of error details.
 */
export function createReflectionIndex(
  services: readonly DescService[],
  others: readonly DescFile[] = [],
): ReflectionIndex {
  const files = new Map<string, DescFile>();
  for (const file of [...services.map((service) => service.file), ...others]) {
    for (const needed of listNeeded(file)) files.set(needed.proto.name, needed);
  }
  const symbols = new Map<string, DescFile>();
  const messages = new Set<string>();
  const extensions = new Map<string, Map<number, DescFile>>();
  for (const file of files.values()) {
    for (const type of nestedTypes(file)) {
      for (const name of listNames(type)) symbols.set(name, file);
      if (type.kind === "message") messages.add(type.typeName);
      if (type.kind === "extension") addExtension(extensions, type);
    }
  }
  const encode = createEncoder();
  return {
    services: services.map((service) => service.typeName).sort(),
    findFile: (name) => encode(files.get(name)),
    findSymbol: (name) => encode(symbols.get(name)),
    findExtension: (containingType, number) => encode(extensions.get(containingType)?.get(number)),
    findExtensionNumbers: (containingType) =>
      messages.has(containingType)
        ? [...(extensions.get(containingType)?.keys() ?? [])].sort((a, b) => a - b)
        : undefined,
  };
}

/**
 * Returns the file and everything that it imports, directly or indirectly. Each file comes before those that it
 * imports.
 */
function listNeeded(file: DescFile): DescFile[] {
  const importedFirst = new Set<DescFile>();
  const add = (each: DescFile) => {
    if (importedFirst.has(each)) return;
    for (const dependency of each.dependencies) add(dependency);
    importedFirst.add(each);
  };
  add(file);
  return [...importedFirst].reverse();
}

function addExtension(extensions: Map<string, Map<number, DescFile>>, { extendee, number, file }: DescExtension): void {
  const ofType = extensions.get(extendee.typeName) ?? new Map<number, DescFile>();
  extensions.set(extendee.typeName, ofType.set(number, file));
}

type Type = Registry extends Iterable<infer Item> ? Item : never;

/** Returns the full names that a type declares: its own and those of its parts. */
function listNames(type: Type): string[] {
  const { typeName } = type;
  switch (type.kind) {
    case "service":
      return [typeName, ...type.methods.map((method) => `${typeName}.${method.name}`)];
    case "message":
      return [typeName, ...listMembers(type).map((name) => `${typeName}.${name}`)];
    case "enum": {
      // Values are named as siblings of their enum.
      const scope = typeName.slice(0, typeName.lastIndexOf(".") + 1);
      return [typeName, ...type.values.map((value) => scope + value.name)];
    }
    default:
      return [typeName];
  }
}

function listMembers(message: DescMessage): string[] {
  return [...message.fields, ...message.oneofs].map(({ name }) => name);
}

/** Creates a function that encodes files with their dependencies, each file once. */
function createEncoder(): (file: DescFile | undefined) => FileBytes[] | undefined {
  const bytes = new Map<DescFile, FileBytes>();
  const encode = (file: DescFile) => {
    const known = bytes.get(file) ?? toBinary(FileDescriptorProtoSchema, file.proto);
    bytes.set(file, known);
    return known;
  };
  return (file) => file && listNeeded(file).map(encode);
}
