/** One request as a client of either listener might send it: most are nearly right, for those get furthest. */
import type { DescMethod } from "@bufbuild/protobuf";
import type { Random } from "../random.ts";
import type { Door, FuzzAgent, Target } from "../target.ts";
import { drawMessage, drawUuid } from "./draw-message.ts";
import { drawEncoding, type EncodedBody, encodeBody } from "./encode-body.ts";
import { mutate } from "./mutate.ts";
import { drawOddHeaders, type Field } from "./odd-headers.ts";
import { identityChanges, isEnrolment, isStreaming, pages, type Route, rpcs } from "./routes.ts";
import { type Signer, sign } from "./sign-call.ts";

/** A request, whichever version of HTTP carries it. */
export interface Call {
  readonly method: string;
  readonly path: string;
  /** Without those that say where the body ends. */
  readonly fields: readonly Field[];
  readonly body: Buffer;
  /** Whether the answer may never end. */
  readonly isEndless: boolean;
}

/** Who sends it. */
export interface CallContext {
  readonly target: Target;
  readonly door: Door;
  /** Whose certificate the connection shows. */
  readonly certified: FuzzAgent | undefined;
}

const methods: readonly string[] = ["GET", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"];

/** Draws a request that is well formed as far as HTTP is concerned. */
export async function drawCall(random: Random, context: CallContext): Promise<Call> {
  const { door } = context;
  const route = random.pick(random.chance(0.85) ? rpcs[door.side] : pages[door.side]);
  const method = drawMethod(random, route);
  const signer = drawSigner(random, context, route);
  const { body, fields } = drawBody(random, route.rpc ?? random.pick(rpcs[door.side]).rpc, context, signer);
  const path = method === "GET" && route.rpc !== undefined ? toGetPath(random, route, body) : route.path;
  const proof =
    door.side === "operators"
      ? drawAuthorization(random, context)
      : signer === undefined
        ? []
        : await sign(toSigner(random, signer, route), {
            method,
            url: URL.parse(path, door.url) ?? new URL(door.url),
            body,
          });
  return {
    method,
    path,
    fields: [...fields, ...proof, ...drawOddHeaders(random)],
    body: random.chance(0.03) ? mutate(random, body) : body,
    isEndless: isStreaming(route),
  };
}

function drawMethod(random: Random, { rpc }: Route): string {
  return random.chance(rpc === undefined ? 0.3 : 0.85) ? "POST" : random.pick(methods);
}

/** Half of the machines named are the caller's own; those whose keys operators may change are nobody's. */
function listMachineIds(random: Random, { target, door, certified }: CallContext, rpc: DescMethod, signer?: FuzzAgent) {
  if (identityChanges.has(rpc.name)) return target.spareMachineIds;
  const own = signer ?? certified;
  const others = [random.pick(target.agents).machineId, random.pick(target.spareMachineIds), drawUuid(random)];
  return door.side === "agents" && own !== undefined
    ? [own.machineId, own.machineId, own.machineId, ...others]
    : others;
}

function drawBody(random: Random, rpc: DescMethod | undefined, context: CallContext, signer?: FuzzAgent): EncodedBody {
  if (rpc === undefined || random.chance(0.05)) return { body: random.bytes(random.below(50)), fields: [] };
  const isStream = rpc.methodKind !== "unary";
  const known = { machineIds: listMachineIds(random, context, rpc, signer), joinTokens: context.target.joinTokens };
  const count = isStream && random.chance(0.5) ? 1 + random.below(5) : random.chance(0.97) ? 1 : random.pick([0, 2]);
  const messages = Array.from({ length: count }, () => drawMessage(random, rpc.input, known));
  const encoded = encodeBody(random, drawEncoding(random, isStream), rpc.input, messages);
  if (random.chance(0.01))
    return { ...encoded, body: Buffer.alloc(random.pick([100_000, 1_048_576, 1_200_000]), 0x7b) };
  return random.chance(0.35) ? { ...encoded, body: mutate(random, encoded.body) } : encoded;
}

function toGetPath(random: Random, { path }: Route, body: Buffer): string {
  const message = random.chance(0.5)
    ? `encoding=json&message=${encodeURIComponent(body.toString("latin1"))}`
    : `encoding=proto&base64=1&message=${body.toString("base64url")}`;
  return `${path}?connect=v1&${message}`.slice(0, 8_000);
}

function drawAuthorization(random: Random, { target }: CallContext): Field[] {
  const drawn = random.next();
  if (drawn < 0.55) return [["authorization", `Bearer ${random.pick(target.tokens)}`]];
  if (drawn < 0.75) return [["authorization", `Bearer ${random.bytes(24).toString("base64url")}`]];
  return [];
}

function drawSigner(random: Random, { target, door, certified }: CallContext, route: Route): FuzzAgent | undefined {
  if (door.side === "operators" || random.chance(door.hasTls ? 0.75 : 0.25)) return undefined;
  if (certified !== undefined && random.chance(0.5)) return certified;
  return random.pick(random.chance(isEnrolment(route) ? 0.3 : 0.9) ? target.agents : target.strangers);
}

/** An agent that asks to be let in names its key instead of a machine, most of the time. */
function toSigner(random: Random, signer: FuzzAgent, route: Route): Signer {
  return random.chance(isEnrolment(route) ? 0.9 : 0.02) ? { ...signer, machineId: undefined } : signer;
}
