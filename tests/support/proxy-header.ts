/** Creates headers of the PROXY protocol as proxies write them. */

/** Returns a header of version 2 with this version and command, family and transport, and rest after the fixed part. */
export function binaryHeader(command: number, family: number, rest: Buffer = Buffer.alloc(0)): Buffer {
  const fixed = Buffer.from("0d0a0d0a000d0a515549540a00000000", "hex");
  fixed.writeUInt8(command, 12);
  fixed.writeUInt8(family, 13);
  fixed.writeUInt16BE(rest.length, 14);
  return Buffer.concat([fixed, rest]);
}

/** Returns a header of version 2 for a client at this IPv4 address. */
export function headerFor(address: string): Buffer {
  const numbers = address.split(".").map(Number);
  return binaryHeader(0x21, 0x11, Buffer.from([...numbers, 127, 0, 0, 1, 0xd4, 0x31, 0x20, 0xfb]));
}
