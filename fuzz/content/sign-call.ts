/** Signs requests of the fuzzer's agents, with numbers that grow over all of them. */
import { signRequest } from "../../src/agent/request-signing.ts";
import type { FuzzAgent } from "../target.ts";
import type { Field } from "./odd-headers.ts";

let lastNonce = 0n;

/** Who signs: an agent, by its machine, or by its key if it has none. */
export type Signer = Omit<FuzzAgent, "machineId"> & { readonly machineId: string | undefined };

/** The header fields that make the request this agent's; it must go out as it is. */
export async function sign(signer: Signer, request: { method: string; url: URL; body: Buffer }): Promise<Field[]> {
  const now = BigInt(Date.now()) * 1000n;
  lastNonce = now > lastNonce ? now : lastNonce + 1n;
  const created = Math.floor(Date.now() / 1000);
  const { machineId } = signer;
  return Object.entries(await signRequest(request, { machineId, key: signer, created, nonce: lastNonce }));
}
