/** Base64 (RFC 4648 section 4) into bytes; runs in Node and in browsers. */

/** Decodes a text; throws DOMException for one that is no base64. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let index = 0; index < characters.length; index++) bytes[index] = characters.charCodeAt(index);
  return bytes;
}
