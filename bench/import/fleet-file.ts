/** Writes seed files of many machines with keys, as JSON Lines. */
import { randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { judgePoint } from "../../src/contract/ed25519-point.ts";

/** Writes `machines` machines, each with an id, a provider's id and a key whose private half nobody has. */
export async function writeFleetFile(file: string, machines: number): Promise<void> {
  const stream = createWriteStream(file);
  let text = "";
  for (let index = 0; index < machines; index++) {
    const provided = { provider: "p", providerId: `server-${index}`, location: `location-${index % 40}` };
    const agent = { publicKey: randomKey().toString("hex") };
    text += `${JSON.stringify({ id: randomUUID(), provided, agent })}\n`;
    if (text.length < 1_000_000) continue;
    if (!stream.write(text)) await once(stream, "drain");
    text = "";
  }
  stream.end(text);
  await once(stream, "close");
}

function randomKey(): Buffer {
  for (;;) {
    const key = randomBytes(32);
    if (judgePoint(key) === "sound") return key;
  }
}
