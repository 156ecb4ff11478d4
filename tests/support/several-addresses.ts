/** Hosts with several addresses, as names have that are served by IPv4 and IPv6 or by several machines. */
import dns from "node:dns";
import { onTestFinished, vi } from "vitest";

/** Gives every host several addresses, until the test is over. Default: two of this machine. */
export function giveHostsAddresses(texts: readonly string[] = ["127.0.0.1", "127.0.0.2"]): void {
  const addresses = texts.map((address) => ({ address, family: 4 }));
  const lookup = vi.spyOn(dns, "lookup") as unknown as ReturnType<typeof vi.fn<typeof answer>>;
  function answer(_host: string, _options: unknown, callback: (error: null, found: typeof addresses) => void): void {
    callback(null, addresses);
  }
  lookup.mockImplementation(answer);
  onTestFinished(() => lookup.mockRestore());
}
