/**
 * What the contract says of texts and ids holds for every field that operators can send, those included that are yet to
 * come.
 */
import { type DescMessage, fromJson, type JsonValue, type Message, ScalarType } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { beforeAll, describe, expect, test } from "vitest";
import { HeartbeatRequestSchema } from "../../gen/cloud/bmaas/server/api/agent_pb.js";
import { codeOf, grpcAgent } from "../support/agents.ts";
import { errorOf } from "../support/call-error.ts";
import { machineWithAgent, readTags, type TestMachine } from "../support/machine.ts";
import { type FieldPlace, listFields } from "../support/message-fields.ts";
import { tokenOf } from "../support/operator.ts";
import { listAdminMethods } from "../support/request-messages.ts";
import { startServerWithDatabase } from "../support/server.ts";

const { database, server } = await startServerWithDatabase();

const isText = ({ field }: FieldPlace) => field.scalar === ScalarType.STRING;
const texts = listAdminMethods().flatMap((method) =>
  listFields(method.input)
    .filter(isText)
    .map((place) => ({ name: `${method.input.name} ${place.path}`, method, ...place })),
);
const byName = (places: typeof texts) => places.map((place) => [place.name, place] as const);

const validator = createValidator();

/**
 * The fields that the contract refuses in a message in which nothing but one is set. It leaves the requests of a batch
 * to the server, which judges each by the rules of its own message.
 */
function findRefused(input: DescMessage, json: JsonValue): string[] {
  const message = fromJson(input, json);
  const { violations = [] } = validator.validate(input, message);
  const requests = input.fields.find(({ name }) => name === "requests");
  const items = requests?.fieldKind === "list" ? requests.message : undefined;
  const [item] = items === undefined ? [] : ((message as { requests?: Message[] }).requests ?? []);
  const ofItem = items === undefined || item === undefined ? [] : (validator.validate(items, item).violations ?? []);
  return [
    ...violations.map(({ field }) => pathToString(field)),
    ...ofItem.map(({ field }) => `requests[0].${pathToString(field)}`),
  ];
}

const keys = listAdminMethods().flatMap(({ input }) =>
  listFields(input)
    .filter(({ field }) => field.fieldKind === "map" && field.mapKey === ScalarType.STRING)
    .map((place) => ({ name: `${input.name} ${place.path}`, input, ...place })),
);

test("there are texts, and keys of maps", () => {
  expect(texts.length).toBeGreaterThan(50);
  expect(keys.length).toBeGreaterThan(0);
});

test.each(keys)("a key of $name holds no NUL and is bounded by the contract", ({ input, path, toJson }) => {
  for (const key of ["\0", "a\0b", "a".repeat(100_000)]) {
    const withKey = JSON.parse(JSON.stringify(toJson("value")).replace('"a":', `${JSON.stringify(key)}:`));
    // The path of an entry ends in its key.
    const map = path.slice(0, path.lastIndexOf("["));
    expect(findRefused(input, withKey).map((refused) => refused.slice(0, map.length))).toContain(map);
  }
});

describe("by the contract", () => {
  test.each(byName(texts))("%s holds no NUL, which PostgreSQL does not store, and is bounded", (_name, place) => {
    for (const text of ["\0", "a\0b", "sda\0", "a".repeat(100_000)]) {
      expect(findRefused(place.method.input, place.toJson(text)), JSON.stringify(text.slice(0, 5))).toContain(
        place.path,
      );
    }
  });

  /** The provider's own id is any text. */
  const isId = ({ field }: FieldPlace) => /_ids?$/.test(field.name) && field.name !== "provider_id";

  test.each(byName(texts.filter(isId)))("%s is an id", (_name, place) => {
    for (const text of ["x", "a name", "../..", "4b9f3a52-2f0c-4a53-9d0e", "'", "g".repeat(16), "%00"]) {
      expect(findRefused(place.method.input, place.toJson(text)), text).toContain(place.path);
    }
  });

  test.each(byName(texts.filter(({ field }) => field.name.endsWith("_token"))))("%s is a token", (_name, place) => {
    for (const text of ["a b", "é", "a+b", "a=", "'"])
      expect(findRefused(place.method.input, place.toJson(text)), text).toContain(place.path);
  });
});

describe("by the server", () => {
  let secret = "";
  beforeAll(async () => {
    secret = (await tokenOf(database.db, "admin")).secret;
  });

  test.each(byName(texts))(
    "%s with NUL is invalid_argument, and names the field",
    async (_name, { method, path, toJson }) => {
      const transport = createConnectTransport({
        baseUrl: server.adminUrl,
        httpVersion: "1.1",
        useBinaryFormat: false,
        nodeOptions: { agent: false },
        interceptors: [
          (next) => (request) => {
            request.header.set("authorization", `Bearer ${secret}`);
            return next(request);
          },
        ],
      });
      const client: Record<string, (request: unknown) => unknown> = createClient(method.parent, transport) as never;
      const answer = client[method.localName]?.(fromJson(method.input, toJson("\0")));
      const { code, fields } = await errorOf(
        method.methodKind === "unary" ? (answer as Promise<unknown>) : readAll(answer as AsyncIterable<unknown>),
      );
      expect(code).toBe("InvalidArgument");
      expect(fields).toContain(path);
    },
  );
});

async function readAll(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _message of messages);
}

describe("what an agent found in its machine's firmware", () => {
  const agentTexts = listFields(HeartbeatRequestSchema).filter(isText);
  let machine: TestMachine;
  beforeAll(async () => {
    machine = await machineWithAgent(database.db);
  });

  test.each(agentTexts.map((place) => [place.path, place] as const))(
    "may hold NUL in %s, and counts",
    async (path, place) => {
      using agent = grpcAgent(server, machine.key);
      const heartbeat = fromJson(HeartbeatRequestSchema, place.toJson("a\0b"));
      if (path === "machine_id") {
        expect(await codeOf(agent.heartbeat(heartbeat))).toBe("InvalidArgument");
        return;
      }
      const code = await codeOf(agent.heartbeat({ ...heartbeat, machineId: machine.machineId }));
      // A report's generation, 0, was never requested; all else counts.
      expect(code).toBe(path.startsWith("installation_report") ? "FailedPrecondition" : "ok");
      expect((await readTags(database, machine.machineId)).heartbeat).toBeDefined();
    },
  );
});
