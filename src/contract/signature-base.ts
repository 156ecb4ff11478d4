/**
 * Builds the text that an HTTP message signature signs (RFC 9421 section 2.5) from the parts of a request; runs in Node
 * and in browsers.
 */

/** Parts of a request that a signature can cover. */
export interface SignableRequest {
  readonly method: string;
  readonly scheme: "http" | "https";
  /** Host and optional port, as in the Host field or the :authority pseudo-header. */
  readonly authority: string;
  /** Path and query of the request line. An empty path counts as "/". */
  readonly target: string;
  /** Values of the fields by lower-case name, one value per field line in the order received. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
}

/** There is no signature base: a component is absent, unknown, or cannot be expressed in it. */
export class SignatureBaseError extends Error {
  override readonly name = "SignatureBaseError";
}

/**
 * Returns the signature base over `components`, which are names of derived components and of fields, without parameters
 * of their own. `covered` lists them with the signature's parameters, as a structured field. Throws SignatureBaseError,
 * in particular for a value that would add a line to the base.
 */
export function createSignatureBase(request: SignableRequest, components: readonly string[], covered: string): string {
  if (new Set(components).size !== components.length) throw new SignatureBaseError("a component is covered twice");
  const lines = components.map((name) => `"${name}": ${getComponentValue(request, name)}`);
  return [...lines, `"@signature-params": ${covered}`].join("\n");
}

function getComponentValue(request: SignableRequest, name: string): string {
  const value = name.startsWith("@") ? getDerivedValue(request, name) : getFieldValue(request, name);
  // RFC 9421 section 2.5 requires an error for anything but ASCII without line breaks.
  if (!/^[\x20-\x7e\t]*$/.test(value)) throw new SignatureBaseError(`${name} holds bytes that cannot be signed`);
  return value;
}

/** Returns the value of a component that is derived from control data (RFC 9421 section 2.2). */
function getDerivedValue(request: SignableRequest, name: string): string {
  const { method, scheme, target } = request;
  const queryAt = target.indexOf("?");
  switch (name) {
    case "@method":
      return method;
    case "@scheme":
      return scheme;
    case "@authority":
      return normaliseAuthority(request.authority, scheme);
    case "@request-target":
      return normalisePath(target);
    case "@target-uri":
      return `${scheme}://${request.authority}${normalisePath(target)}`;
    case "@path":
      return normalisePath(queryAt < 0 ? target : target.slice(0, queryAt));
    case "@query":
      return queryAt < 0 ? "?" : target.slice(queryAt);
    default:
      throw new SignatureBaseError(`the derived component ${name} is not known`);
  }
}

/**
 * Converts the host to lower case and removes the scheme's default port (RFC 9421 section 2.2.3, RFC 9110 section
 * 4.2.3).
 */
export function normaliseAuthority(authority: string, scheme: "http" | "https"): string {
  const lower = authority.toLowerCase();
  const defaultPort = scheme === "https" ? ":443" : ":80";
  return lower.endsWith(defaultPort) ? lower.slice(0, -defaultPort.length) : lower;
}

function normalisePath(target: string): string {
  return target === "" || target.startsWith("?") ? `/${target}` : target;
}

/** Combines the lines of a field (RFC 9421 section 2.1): unfolds and trims each, then joins them. */
function getFieldValue(request: SignableRequest, name: string): string {
  const lines = request.headers.get(name);
  if (lines === undefined) throw new SignatureBaseError(`the request has no field ${name}`);
  return lines
    .map((line) =>
      line
        .split(/\r?\n(?=[ \t])/)
        .map(trimOptionalWhitespace)
        .join(" "),
    )
    .join(", ");
}

/** Trims only spaces and tabs; String.trim would also remove bytes that are part of the value. */
function trimOptionalWhitespace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isOptionalWhitespace(text[start])) start++;
  while (end > start && isOptionalWhitespace(text[end - 1])) end--;
  return text.slice(start, end);
}

function isOptionalWhitespace(character: string | undefined): boolean {
  return character === " " || character === "\t";
}
