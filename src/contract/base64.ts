/** Decodes base64 (RFC 4648 section 4); runs in Node and in browsers. */

/** Decodes a text. Throws DOMException if it is not base64. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let index = 0; index < characters.length; index++) bytes[index] = characters.charCodeAt(index);
  return bytes;
}
