/** What the server says of itself before anybody has signed in. */

/** What /console.json holds. */
export interface ServerFacts {
  /** Version of bmaas. */
  readonly version: string;
  /** Names the build of the page that the server serves now; null while it has none. */
  readonly build: string | null;
  /** Where people sign in; null if by tokens only. */
  readonly oidc: { readonly issuer: string; readonly clientId: string } | null;
}

/** Longest wait for the answer, in milliseconds. */
const timeoutMs = 10_000;

/** Asks the server. Throws an error while it is away. */
export async function readServerFacts(): Promise<ServerFacts> {
  const answer = await fetch("/console.json", { cache: "no-store", signal: AbortSignal.timeout(timeoutMs) });
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  return (await answer.json()) as ServerFacts;
}

/** What the server said when the page was loaded; undefined if it was away. */
export const firstFacts: Promise<ServerFacts | undefined> = readServerFacts().catch(() => undefined);
