import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type AgentSignature,
  agentSignatureBase,
  createAgentSignatureClaim,
  findAgentSignature,
  formatSignatureHeaders,
  InvalidSignatureHeaderError,
  type SignatureFields,
} from "../../src/contract/agent-signature.ts";

/** The agent's signature in fields that hold one. */
function getAgentSignature(fields: SignatureFields): AgentSignature {
  const signature = findAgentSignature(fields);
  if (signature === undefined) throw new Error("no signature of an agent");
  return signature;
}

/** The greatest value of PostgreSQL's bigint. */
const maxNonce = 2n ** 63n - 1n;

const machineId = "4b9f3a52-2f0c-4a53-9d0e-6f1f3f1f9c11";
const components = '("@method" "@authority" "@path" "content-digest")';
const params = `;created=1618884473;nonce="17";keyid="${machineId}";alg="ed25519";tag="bmaas-agent"`;
const bytes = new Uint8Array(64).fill(7);
const signature = `s=:${Buffer.from(bytes).toString("base64")}:`;
const request = {
  method: "POST",
  scheme: "https",
  authority: "Bmaas.example:443",
  path: "/cloud.bmaas.server.api.AgentCallback/Heartbeat",
  contentDigest: "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
} as const;

describe("what a client writes", () => {
  const claim = createAgentSignatureClaim({ machineId: machineId.toUpperCase(), created: 1618884473, nonce: maxNonce });

  test("is what a server reads", () => {
    const headers = formatSignatureHeaders(claim, bytes);
    const parsed = getAgentSignature({ signatureInput: headers["signature-input"], signature: headers.signature });
    expect(parsed).toEqual({ ...claim, machineId, nonce: maxNonce, label: "bmaas", signature: bytes });
    expect(agentSignatureBase(request, parsed)).toBe(agentSignatureBase(request, claim));
  });

  test("covers method, authority, path, digest and every parameter", () => {
    expect(agentSignatureBase(request, claim)).toBe(`"@method": POST
"@authority": bmaas.example
"@path": /cloud.bmaas.server.api.AgentCallback/Heartbeat
"content-digest": sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:
"@signature-params": ${components};created=1618884473;nonce="9223372036854775807";keyid="${machineId}";alg="ed25519";tag="bmaas-agent"`);
  });

  test.each([
    { machineId, created: 1.5, nonce: 1n },
    { machineId, created: 1e15, nonce: 1n },
    { machineId, created: 1, nonce: -1n },
    { machineId, created: 1, nonce: maxNonce + 1n },
    { machineId: "m", created: 1, nonce: 1n },
  ])("is never a claim that no server takes", (claim) => expect(() => createAgentSignatureClaim(claim)).toThrow());
});

describe("what a server reads", () => {
  test("keeps order and spelling of the parameters for the base, and lower-cases the machine id", () => {
    const upper = `;tag="bmaas-agent";keyid="${machineId.toUpperCase()}";alg="ed25519";nonce="0";created=0`;
    const parsed = getAgentSignature({ signatureInput: `s=${components}${upper}`, signature });
    expect(parsed).toMatchObject({ label: "s", machineId, created: 0, nonce: 0n, signature: bytes });
    expect(agentSignatureBase(request, parsed)).toContain(`"@signature-params": ${components}${upper}`);
  });

  test("is the same in the spelling that is known by heart and in any other", () => {
    const claims = fc.record({
      machineId: fc.uuid(),
      created: fc.nat({ max: 999_999_999_999_999 }),
      nonce: fc.bigInt({ min: 0n, max: maxNonce }),
    });
    fc.assert(
      fc.property(claims, fc.uint8Array({ minLength: 64, maxLength: 64 }), (given, signed) => {
        const fields = formatSignatureHeaders(createAgentSignatureClaim(given), signed);
        const [signatureInput, own] = [fields["signature-input"], fields.signature];
        const parsed = getAgentSignature({ signatureInput, signature: own });
        expect(parsed).toMatchObject({ ...given, signature: signed });
        const beside = { signatureInput: `${signatureInput}, x=("@path")`, signature: `${own}, x=:AA==:` };
        expect(getAgentSignature(beside)).toEqual(parsed);
      }),
    );
  });

  test("ignores what a proxy signed", () => {
    const parsed = getAgentSignature({
      signatureInput: `proxy=("@status";req);tag="p", s=${components}${params}, other="x"`,
      signature: `proxy=:AA==:, ${signature}`,
    });
    expect(parsed.label).toBe("s");
  });

  test("stands in fields of up to 4,096 characters", () => {
    const tail = `, s=${components}${params}`;
    const fill = (length: number) => `x="${"y".repeat(length - tail.length - 4)}"${tail}`;
    expect(fill(4_096)).toHaveLength(4_096);
    expect(getAgentSignature({ signatureInput: fill(4_096), signature }).nonce).toBe(17n);
    expect(() => findAgentSignature({ signatureInput: fill(4_097), signature })).toThrow(
      "signature-input: longer than 4096 characters",
    );
    const long = `${signature}, x="${"y".repeat(4_096)}"`;
    expect(() => findAgentSignature({ signatureInput: `s=${components}${params}`, signature: long })).toThrow(
      "signature: longer than 4096 characters",
    );
  });
});

const without = (name: string) => params.replace(new RegExp(`;${name}=("[^"]*"|\\d+)`), "");
const instead = (name: string, value: string) => `s=${components}${without(name)};${name}=${value}`;
const covering = (list: string) => `s=${list}${params}`;

describe("no agent's signature", () => {
  test.each<[string, string | undefined]>([
    ["no Signature-Input", undefined],
    ["an empty one", ""],
    ["another party's signature", `s=${components};tag="x"`],
    ["one without a tag", `s=${components}`],
    ["one without a tag under the agents' label", `bmaas=${components}${without("tag")}`],
    ["a tag that is a token", instead("tag", "bmaas-agent")],
    ["a member that is no list", "s=?1, t=:AA==:"],
  ])("is in %s, whatever Signature holds", (_what, signatureInput) => {
    for (const field of [signature, undefined, "", "s=:"]) {
      expect(findAgentSignature({ signatureInput, signature: field })).toBeUndefined();
    }
  });
});

describe("refused", () => {
  test.each<[string, string, RegExp]>([
    ["garbage", "=", /signature-input: .*key/],
    ["a list that never ends", "s=(", /signature-input: /],
    ["two agents' signatures", `${covering(components)}, t=${components}${params}`, /2 members have tag/],
    ["a tagged member that is no list", `s="x"${params}`, /s is not a list of components/],
    ["no component", covering("()"), /component "@method" is missing/],
    ["the digest left out", covering('("@method" "@authority" "@path")'), /component "content-digest" is missing/],
    ["another order", covering('("@authority" "@method" "@path" "content-digest")'), /component 1 is not "@method"/],
    [
      "one component more",
      covering('("@method" "@authority" "@path" "content-digest" "date")'),
      /more than 4 components/,
    ],
    [
      "a component with a parameter",
      covering('("@method";req "@authority" "@path" "content-digest")'),
      /component "@method" has parameters/,
    ],
    ["a component that is a token", covering('("@method" "@authority" "@path" content-digest)'), /component 4/],
    ...["created", "nonce", "keyid", "alg"].map((name): [string, string, RegExp] => [
      `no ${name}`,
      `s=${components}${without(name)}`,
      new RegExp(`parameter ${name} is missing`),
    ]),
    ["an expiry", `s=${components}${params};expires=1618884533`, /parameters other than created, nonce/],
    ["another algorithm", instead("alg", '"hmac-sha256"'), /alg is not "ed25519"/],
    ["an algorithm that is a token", instead("alg", "ed25519"), /alg is not/],
    ["a fractional time", instead("created", "1.5"), /created is not a whole number/],
    ["a time before the epoch", instead("created", "-1"), /created is not a whole number/],
    ["a time in quotes", instead("created", '"1618884473"'), /created is not a whole number/],
    ["a date", instead("created", "@1618884473"), /signature-input: /],
    ["a nonce that is a number", instead("nonce", "17"), /nonce is not a decimal number/],
    ["a nonce with a leading zero", instead("nonce", '"017"'), /nonce is not a decimal number/],
    ["a negative nonce", instead("nonce", '"-1"'), /nonce is not a decimal number/],
    ["a nonce in hexadecimal", instead("nonce", '"0x11"'), /nonce is not a decimal number/],
    ["an empty nonce", instead("nonce", '""'), /nonce is not a decimal number/],
    ["a nonce past 2^63-1", instead("nonce", '"9223372036854775808"'), /nonce is not a decimal number/],
    ["a key id that is no UUID", instead("keyid", '"test-key"'), /keyid is not a machine id/],
    ["a key id in brackets", instead("keyid", `"(${machineId})"`), /keyid is not a machine id/],
    ["a key id that is bytes", instead("keyid", ":AAAA:"), /keyid is not a machine id/],
  ])("%s", (_what, signatureInput, reason) => {
    const parse = () => getAgentSignature({ signatureInput, signature });
    expect(parse).toThrow(InvalidSignatureHeaderError);
    expect(parse).toThrow(reason);
  });

  test.each<[string, string | undefined, RegExp]>([
    ["no Signature", undefined, /signature-input but no signature/],
    ["an empty Signature", "", /signature: no member s/],
    ["a Signature without the member", "t=:AA==:", /signature: no member s/],
    ["a signature that is text", 's="AA=="', /s is not a byte sequence/],
    ["a signature that is a list", "s=(:AA==:)", /s is not a byte sequence/],
    ["a signature of another length", "s=:AA==:", /s has 1 bytes, not 64/],
    ["a signature with parameters", `${signature};x`, /s has parameters/],
    ["a Signature that is garbage", "s=:", /signature: .*closing/],
  ])("%s", (_what, field, reason) => {
    const parse = () => getAgentSignature({ signatureInput: covering(components), signature: field });
    expect(parse).toThrow(InvalidSignatureHeaderError);
    expect(parse).toThrow(reason);
  });
});
