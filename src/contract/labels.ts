/** What a machine's labels may be: the syntax of Kubernetes (kubernetes.io/docs, "Labels and Selectors"). */
import { InvalidFieldError } from "./installation-rules.ts";

/** Labels that a machine has at most. */
export const maxLabels = 32;

const maxNameLength = 63;
const maxPrefixLength = 253;
const name = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/;
const domain = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;

/** Returns a label's key as it is: a name, or a DNS domain, a slash and a name. Throws InvalidFieldError. */
export function parseLabelKey(text: string): string {
  const slash = text.indexOf("/");
  const prefix = slash === -1 ? undefined : text.slice(0, slash);
  assertName(text.slice(slash + 1), "is not a label's key");
  if (prefix !== undefined && (prefix.length > maxPrefixLength || !domain.test(prefix))) {
    throw new InvalidFieldError(
      `is not a label's key: what stands before the slash must be a DNS domain of at most ${maxPrefixLength} characters, such as example.com`,
    );
  }
  return text;
}

/** Returns a label's value as it is; it may be empty. Throws InvalidFieldError. */
export function parseLabelValue(text: string): string {
  if (text !== "") assertName(text, "is not a label's value");
  return text;
}

/** Returns the name under which a machine's label of this key stands in metrics, as kube-state-metrics names labels. */
export function nameMetricLabel(key: string): string {
  return `label_${key.replaceAll(/[^A-Za-z0-9_]/g, "_")}`;
}

function assertName(text: string, what: string): void {
  if (text.length <= maxNameLength && name.test(text)) return;
  throw new InvalidFieldError(
    `${what}: write at most ${maxNameLength} letters, digits, ".", "_" and "-" that begin and end with a letter or digit`,
  );
}
