/** Finds misspelt environment variables, which would otherwise be settings that silently do nothing. */

const prefix = "BMAAS_";

/** What Kubernetes sets in every pod for a Service whose name begins with "bmaas"; the port has the form of a URL there. */
const kubernetesService = /^BMAAS_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)$/;
const kubernetesPort = /^BMAAS_(?:\w+_)?PORT$/;

/** One mistake for each variable that begins with BMAAS_ and is not in `known`, with the known one that it resembles. */
export function findUnknownVariables(
  environment: Readonly<Record<string, string | undefined>>,
  known: readonly string[],
): string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith(prefix) && environment[name] !== undefined)
    .filter((name) => !known.includes(name) && !isKubernetesService(name, environment[name] ?? ""))
    .sort()
    .map((name) => {
      const near = findNearest(name, known);
      return `${name}: unknown variable${near === undefined ? "" : `, did you mean ${near}?`}`;
    });
}

function isKubernetesService(name: string, value: string): boolean {
  return kubernetesService.test(name) || (kubernetesPort.test(name) && /^(?:tcp|udp|sctp):\/\//.test(value));
}

function findNearest(name: string, known: readonly string[]): string | undefined {
  const [nearest] = known
    .map((candidate) => ({
      candidate,
      distance: editDistance(name.slice(prefix.length), candidate.slice(prefix.length)),
    }))
    .filter(({ candidate, distance }) => distance <= (candidate.length - prefix.length) / 2)
    .sort((a, b) => a.distance - b.distance);
  return nearest?.candidate;
}

/** Levenshtein's distance: how many characters must be put in, taken out or replaced. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
