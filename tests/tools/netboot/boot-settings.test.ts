import { describe, expect, test } from "vitest";
import { BootSettingsError, parseBootSettings } from "../../../tools/netboot/boot/boot-settings.ts";

const digest = "5f".repeat(32);
const endpoint = "bmaas.endpoint=https://bmaas.example:8443";

/** Returns the message of the error. */
function refuse(commandLine: string): string {
  try {
    parseBootSettings(commandLine);
  } catch (error) {
    expect(error).toBeInstanceOf(BootSettingsError);
    return (error as Error).message;
  }
  throw new Error("the command line was accepted");
}

describe("the kernel's command line", () => {
  test("has all settings among parameters of others", () => {
    const ca = `bmaas.ca=http://boot.example:8080/ca.pem?v=2#sha256:${digest}`;
    expect(
      parseBootSettings(`console=ttyS0 quiet ${endpoint} ${ca} bmaas.token=bmj_a=b== bmaas.signed root=/dev/ram0\n`),
    ).toEqual({
      endpoint: "https://bmaas.example:8443",
      ca: { url: new URL("http://boot.example:8080/ca.pem?v=2"), digest },
      token: "bmj_a=b==",
      isSigned: true,
    });
  });

  test("needs no more than the endpoint", () => {
    const settings = { endpoint: "https://bmaas.example:8443", ca: undefined, token: undefined, isSigned: false };
    expect(parseBootSettings(endpoint)).toEqual(settings);
  });

  test("may have quotes around values and around parameters", () => {
    expect(parseBootSettings(`"x=a b" bmaas.endpoint="https://a.example" "bmaas.token=t"`)).toMatchObject({
      endpoint: "https://a.example",
      token: "t",
    });
  });

  test("may have plain http only with signatures", () => {
    expect(parseBootSettings("bmaas.endpoint=http://a.example bmaas.signed").endpoint).toBe("http://a.example");
    expect(refuse("bmaas.endpoint=http://a.example")).toContain("add bmaas.signed");
  });

  test.each([
    ["console=ttyS0", "bmaas.endpoint=URL is missing"],
    ["bmaas.endpoint=bmaas.example:8443", "bmaas.endpoint is not an http or https URL"],
    ["bmaas.endpoint=https://u:p@bmaas.example", "without credentials"],
    [`${endpoint} bmaas.ca=ca.pem`, "bmaas.ca is not an http or https URL"],
    [`${endpoint} bmaas.ca=http://boot.example/ca.pem`, "bmaas.ca does not end in #"],
    [`${endpoint} bmaas.ca=http://boot.example/ca.pem#sha256:${digest.slice(1)}`, "bmaas.ca does not end in #"],
    [`${endpoint} bmaas.token=`, "bmaas.token is empty"],
    [`${endpoint} bmaas.signed=no`, "bmaas.signed takes no value"],
    [`${endpoint} bmaas.tokens=x`, "bmaas.tokens is not a setting: there are endpoint, ca, token, signed"],
    [`${endpoint} ${endpoint}`, "bmaas.endpoint is there twice"],
  ])("is refused: %s", (commandLine, reason) => {
    expect(refuse(commandLine)).toContain(reason);
  });

  test("is refused with all mistakes at once, and without the secret", () => {
    const message = refuse("bmaas.token=secret bmaas.token=secret bmaas.secret=secret2");
    expect(message).toContain("bmaas.token is there twice");
    expect(message).toContain("bmaas.endpoint=URL is missing");
    expect(message).not.toMatch(/secret2|=secret/);
  });
});
