/**
 * What a run plays on: two servers on one database, one with TLS on both listeners and one without, with agents,
 * machines and tokens. A server that ended can be started again where it was.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { AgentService } from "../gen/bmaas/admin/v1/agent_service_pb.js";
import { JoinTokenService } from "../gen/bmaas/admin/v1/join_token_service_pb.js";
import { MachineService } from "../gen/bmaas/admin/v1/machine_service_pb.js";
import { Role } from "../gen/bmaas/admin/v1/role_pb.js";
import { TokenService } from "../gen/bmaas/admin/v1/token_service_pb.js";
import { createAgentKey } from "../src/agent/agent-key.ts";
import { createClientCertificate } from "../src/agent/client-certificate.ts";
import { createSimulatedIdentity, type SimulatedIdentity } from "../src/simulate/fleet-identities.ts";
import { registerFleet } from "../src/simulate/register-fleet.ts";
import { ensureDevelopmentTls } from "../src/tls/development-ca.ts";
import { type FuzzedServer, type ServerProblem, startFuzzedServer } from "./server-process.ts";
import { proxyNetwork } from "./source.ts";
import { type FuzzAgent, type Target, toDoor } from "./target.ts";
import type { WitnessedServer } from "./witness.ts";

/** How it is set up. */
export interface StageOptions {
  /** Where servers keep their files. */
  readonly folder: string;
  /** An empty database. */
  readonly databaseUrl: string;
  /** Agents and their keys come from it. */
  readonly seed: number;
  /** The command `bmaas`: an absolute path. */
  readonly program: string;
  /** Whether inputs come through proxies as well. */
  readonly hasProxies: boolean;
  readonly onProblem: (server: number, problem: ServerProblem) => void;
}

/** The servers, and what there is to call them with. */
export interface Stage extends AsyncDisposable {
  readonly servers: readonly FuzzedServer[];
  readonly target: Target;
  readonly witnessed: readonly WitnessedServer[];
  /** Bytes that all servers have logged so far. */
  readonly loggedBytes: number;
  /** Starts the server by that index again, which has ended. */
  restart(server: number): Promise<void>;
}

const agentCount = 24;
const unsharedCount = 40;
const spareCount = 8;
const strangerCount = 16;
const joinTokenLifeMs = 7 * 24 * 3_600_000;
const registrationsAtOnce = 8;

/** Sets it up; throws when a server does not start. */
export async function setStage(options: StageOptions): Promise<Stage> {
  const { folder, databaseUrl, program, hasProxies, onProblem } = options;
  await using resources = new AsyncDisposableStack();
  const { ca, certFile, keyFile } = await ensureDevelopmentTls(folder, ["127.0.0.1"]);
  const environment = {
    DATABASE_URL: databaseUrl,
    BMAAS_SHUTDOWN_DELAY: "0",
    BMAAS_AGENT_LISTEN: "127.0.0.1:0",
    BMAAS_ADMIN_LISTEN: "127.0.0.1:0",
    ...(hasProxies && { BMAAS_AGENT_PROXIES: proxyNetwork }),
  };
  const secure = {
    BMAAS_TLS_CERT: certFile,
    BMAAS_TLS_KEY: keyFile,
    BMAAS_ADMIN_TLS_CERT: certFile,
    BMAAS_ADMIN_TLS_KEY: keyFile,
  };
  const settings = [
    { name: "secure", environment: { ...environment, ...secure } },
    { name: "plaintext", environment: { ...environment, BMAAS_AGENT_TLS: "off" } },
  ];
  const servers: FuzzedServer[] = [];
  const start = async (index: number, overrides: Readonly<Record<string, string>> = {}) => {
    const { name, environment: each } = settings[index] ?? { name: "", environment: {} };
    const home = join(folder, name);
    await mkdir(home, { recursive: true });
    const onOne = (problem: ServerProblem) => onProblem(index, problem);
    servers[index] = await startFuzzedServer({
      home,
      environment: { ...each, ...overrides },
      program,
      onProblem: onOne,
    });
  };
  resources.defer(async () => void (await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))));
  // The first one makes the tables and the administrator's token.
  await start(0);
  await start(1);
  const { target, witnessed } = await populate(options, servers, ca);
  let loggedBefore = 0;
  const stage = resources.move();
  return {
    servers,
    target,
    witnessed,
    get loggedBytes() {
      return servers.reduce((sum, server) => sum + server.loggedBytes, loggedBefore);
    },
    async restart(index) {
      const { agentUrl, adminUrl } = servers[index] as FuzzedServer;
      const listen = { BMAAS_AGENT_LISTEN: new URL(agentUrl).host, BMAAS_ADMIN_LISTEN: new URL(adminUrl).host };
      loggedBefore += servers[index]?.loggedBytes ?? 0;
      await start(index, listen);
    },
    [Symbol.asyncDispose]: () => stage.disposeAsync(),
  };
}

/** Registers agents, makes machines and tokens, by the administrator's own token. */
async function populate({ seed, hasProxies }: StageOptions, servers: readonly FuzzedServer[], ca: string) {
  const [first] = servers;
  if (first?.adminTokenFile === undefined) throw new Error("the database is not empty: there are tokens in it");
  const admin = (await readFile(first.adminTokenFile, "utf8")).trim();
  const authenticate: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${admin}`);
    return next(request);
  };
  const nodeOptions = { agent: false, ca } as const;
  const transport = createConnectTransport({
    baseUrl: first.adminUrl,
    httpVersion: "1.1",
    interceptors: [authenticate],
    nodeOptions,
  });
  const [machines, agents, tokens, joinTokens] = [
    createClient(MachineService, transport),
    createClient(AgentService, transport),
    createClient(TokenService, transport),
    createClient(JoinTokenService, transport),
  ];
  const secret = createHash("sha256").update(`the fuzzer's fleet ${seed}`).digest();
  const identities = Array.from({ length: agentCount + unsharedCount + servers.length }, (_, index) =>
    createSimulatedIdentity(secret, index),
  );
  await registerFleet({
    identities,
    machines,
    agents,
    concurrency: registrationsAtOnce,
    signal: new AbortController().signal,
  });
  const spareMachineIds = Array.from(
    { length: spareCount },
    (_, index) => createSimulatedIdentity(secret, -1 - index).machineId,
  );
  for (const machineId of spareMachineIds) await machines.createMachine({ machineId });
  const createToken = async (name: string, role: Role) => (await tokens.createToken({ name, role })).secret;
  const target: Target = {
    hasProxies,
    doors: servers.flatMap(({ agentUrl, adminUrl }) => [
      toDoor("agents", agentUrl, ca),
      toDoor("operators", adminUrl, ca),
    ]),
    agents: await Promise.all(identities.slice(0, agentCount).map(certify)),
    unsharedAgents: await Promise.all(identities.slice(agentCount, agentCount + unsharedCount).map(certify)),
    strangers: await Promise.all(
      Array.from({ length: strangerCount }, (_, index) => certify(createSimulatedIdentity(secret, 1_000 + index))),
    ),
    joinTokens: await Promise.all(
      [{}, { requiresApproval: true }, { onlyExpected: true }].map(async (rule) => {
        const expireTime = timestampFromMs(Date.now() + joinTokenLifeMs);
        return (await joinTokens.createJoinToken({ maxUses: 10_000, expireTime, ...rule })).secret;
      }),
    ),
    spareMachineIds,
    tokens: [await createToken("fuzz-viewer", Role.VIEWER), await createToken("fuzz-operator", Role.OPERATOR)],
  };
  const token = await createToken("witness", Role.VIEWER);
  const witnessed = servers.map(({ agentUrl, adminUrl }, index) => {
    const identity = identities[agentCount + unsharedCount + index] as SimulatedIdentity;
    return { agentUrl, adminUrl, ca, machineId: identity.machineId, seed: getSeed(identity), token };
  });
  return { target, witnessed };
}

async function certify(identity: SimulatedIdentity): Promise<FuzzAgent> {
  return { ...identity, ...createClientCertificate(await createAgentKey(getSeed(identity))) };
}

/** The 32 bytes that an Ed25519 key is made of (RFC 8037 section 2). */
function getSeed({ privateKey }: SimulatedIdentity): Uint8Array {
  const { d } = privateKey.export({ format: "jwk" });
  return Buffer.from(d ?? "", "base64url");
}
