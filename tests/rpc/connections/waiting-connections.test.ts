/** Who waits, whose turn comes, and who is cut: the same as in a list that is searched from its beginning. */
import { Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { Random } from "../../../fuzz/random.ts";
import { WaitingConnections } from "../../../src/rpc/connections/waiting-connections.ts";

/** Does the same by looking through everything. */
class SimpleList {
  readonly connections: { readonly socket: Socket; readonly party: string }[] = [];
  turns: string[] = [];

  add(socket: Socket, party: string): void {
    this.connections.push({ socket, party });
    if (!this.turns.includes(party)) this.turns.push(party);
  }

  take(mayTake: (party: string) => boolean): Socket | undefined {
    const party = this.turns.find(mayTake);
    const first = this.connections.find((each) => each.party === party);
    if (first === undefined) return undefined;
    this.remove(first.socket);
    if (this.turns.includes(first.party)) this.turns = [...this.turns.filter((each) => each !== party), first.party];
    return first.socket;
  }

  remove(socket: Socket): void {
    const at = this.connections.findIndex((each) => each.socket === socket);
    const [gone] = at === -1 ? [] : this.connections.splice(at, 1);
    if (gone === undefined || this.count(gone.party) > 0) return;
    this.turns = this.turns.filter((party) => party !== gone.party);
  }

  count(party: string): number {
    return this.connections.filter((each) => each.party === party).length;
  }

  get most(): number {
    return Math.max(...this.turns.map((party) => this.count(party)));
  }
}

test.each([1, 2, 3, 4])("parties take turns, and the last of those with most is cut (%i)", async (seed) => {
  const random = new Random(seed);
  const waiting = new WaitingConnections(60_000);
  const list = new SimpleList();
  for (let step = 0; step < 2_000; step++) {
    const party = `party ${random.below(5)}`;
    switch (random.below(5)) {
      case 0:
      case 1: {
        const socket = new Socket();
        waiting.add(socket, party);
        list.add(socket, party);
        break;
      }
      case 2: {
        const mayTake = (each: string) => each !== party;
        expect(waiting.take(mayTake)?.socket).toBe(list.take(mayTake));
        break;
      }
      case 3: {
        if (list.connections.length === 0) break;
        const { most } = list;
        const isNewcomer = list.count(party) === most;
        const cut = waiting.cutOne(party) ?? "";
        expect(isNewcomer ? cut : list.count(cut)).toBe(isNewcomer ? party : most);
        const last = list.connections.findLast((each) => each.party === cut);
        expect(last?.socket.destroyed).toBe(true);
        list.remove(last?.socket as Socket);
        break;
      }
      default: {
        const gone = list.connections[random.below(list.connections.length)];
        if (gone === undefined) break;
        gone.socket.destroy();
        list.remove(gone.socket);
        await turn();
      }
    }
    expect(waiting.count).toBe(list.connections.length);
  }
  for (const { socket } of list.connections) {
    expect(socket.destroyed).toBe(false);
    socket.destroy();
  }
  await turn();
  expect(waiting.count).toBe(0);
  expect(waiting.cutOne("party 0")).toBeUndefined();
});
