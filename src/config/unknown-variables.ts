/** Finds misspelt environment variables, which would otherwise silently have no effect. */
import { suggestName } from "../base/suggest-name.ts";

const prefix = "BMAAS_";

/**
 * Variables that Kubernetes sets in every pod for a Service whose name begins with "bmaas". The value of its PORT
 * variable has the form of a URL.
 */
const kubernetesService = /^BMAAS_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)$/;
const kubernetesPort = /^BMAAS_(?:\w+_)?PORT$/;

/**
 * Returns one mistake for each variable that begins with BMAAS_ and is not in `known`, with the known variable that it
 * resembles.
 */
export function findUnknownVariables(
  environment: Readonly<Record<string, string | undefined>>,
  known: readonly string[],
): string[] {
  const names = known.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  return Object.keys(environment)
    .filter((name) => name.startsWith(prefix) && environment[name] !== undefined)
    .filter((name) => !known.includes(name) && !isKubernetesService(name, environment[name] ?? ""))
    .sort()
    .map((name) => {
      const near = suggestName(name.slice(prefix.length), names);
      return `${name}: unknown variable${near === undefined ? "" : `, did you mean ${prefix}${near}?`}`;
    });
}

function isKubernetesService(name: string, value: string): boolean {
  return kubernetesService.test(name) || (kubernetesPort.test(name) && /^(?:tcp|udp|sctp):\/\//.test(value));
}
