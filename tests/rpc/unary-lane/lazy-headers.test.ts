/** Lazy headers are Headers to everybody who looks. */
import { inspect } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createLazyHeaders, LazyHeaders } from "../../../src/rpc/unary-lane/context-parts.ts";

const name = fc.constantFrom("a", "b", "X-C", "set-cookie", "content-type", "x-d-bin");
const value = fc.stringMatching(/^[!-~]{1,5}$/);
const source = fc.dictionary(
  name.map((text) => text.toLowerCase()),
  fc.oneof(value, fc.array(value, { maxLength: 3 })),
);

type Act = (headers: Headers) => unknown;
const act: fc.Arbitrary<Act> = fc.oneof(
  fc.tuple(name, value).map(
    ([key, text]): Act =>
      (headers) =>
        headers.append(key, text),
  ),
  fc.tuple(name, value).map(
    ([key, text]): Act =>
      (headers) =>
        headers.set(key, text),
  ),
  name.map(
    (key): Act =>
      (headers) =>
        headers.delete(key),
  ),
  name.map(
    (key): Act =>
      (headers) =>
        headers.get(key),
  ),
  name.map(
    (key): Act =>
      (headers) =>
        headers.has(key),
  ),
  fc.constantFrom<Act>(
    (headers) => headers.getSetCookie(),
    (headers) => [...headers],
    (headers) => [...headers.keys()],
    (headers) => [...headers.values()],
    (headers) => [...headers.entries()],
    (headers) => [...new Headers(headers)],
    (headers) => [...new Request("http://a", { headers }).headers],
    (headers) => inspect(headers),
    (headers) => {
      const seen: unknown[] = [];
      headers.forEach(function (this: unknown, ...given) {
        seen.push(this, ...given.slice(0, 2), given[2] === headers);
      }, "this");
      return seen;
    },
  ),
);

test("they behave as the Headers that have the same fields, whatever is done to them", () => {
  fc.assert(
    fc.property(source, fc.array(act), (fields, acts) => {
      const given = { ":path": "/", ...fields };
      const lazy = createLazyHeaders(given);
      const eager = new Headers(
        Object.entries(fields).flatMap(([key, texts]) => [texts].flat().map((text) => [key, text])) as [
          string,
          string,
        ][],
      );
      for (const one of acts) expect(one(lazy)).toEqual(one(eager));
      expect([...lazy]).toEqual([...eager]);
    }),
  );
});

test("what Headers refuses, they refuse", () => {
  const lazy = createLazyHeaders({ a: "b" });
  expect(() => lazy.set("no name", "x")).toThrow(TypeError);
  expect(() => lazy.append("x", "line\r\nbreak")).toThrow(TypeError);
  expect([...lazy]).toEqual([["a", "b"]]);
});

test("they are Headers by instanceof, and untouched until somebody looks", () => {
  const lazy = createLazyHeaders({ a: "b" });
  expect(lazy).toBeInstanceOf(Headers);
  expect(LazyHeaders.isUntouched(lazy)).toBe(true);
  expect(lazy.get("a")).toBe("b");
  expect(LazyHeaders.isUntouched(lazy)).toBe(false);
  expect(LazyHeaders.isUntouched(new Headers())).toBe(false);
});
