/** The syntax of machines' labels, which is that of Kubernetes (kubernetes.io/docs, "Labels and Selectors"). */
import { InvalidFieldError } from "./installation-rules.ts";

/** Maximum number of labels of a machine. */
export const maxLabels = 32;

const maxNameLength = 63;
const maxPrefixLength = 253;
const name = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/;
const domain = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/;

/**
 * Returns a label's key unchanged if it is a name, or a DNS domain, a slash and a name. Throws InvalidFieldError
 * otherwise.
 */
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

/** Returns a label's value unchanged if it is a name or empty. Throws InvalidFieldError otherwise. */
export function parseLabelValue(text: string): string {
  if (text !== "") assertName(text, "is not a label's value");
  return text;
}

/** Returns the value of a machine's label. Every object inherits names such as "toString", which are no labels. */
export function findLabel(labels: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

/** Returns the name in metrics of a machine's label with this key. It follows kube-state-metrics. */
export function nameMetricLabel(key: string): string {
  return `label_${key.replaceAll(/[^A-Za-z0-9_]/g, "_")}`;
}

function assertName(text: string, what: string): void {
  if (text.length <= maxNameLength && name.test(text)) return;
  throw new InvalidFieldError(
    `${what}: write at most ${maxNameLength} letters, digits, ".", "_" and "-" that begin and end with a letter or digit`,
  );
}
