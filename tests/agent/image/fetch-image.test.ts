/** Fetching an image over networks and from servers that fail. */
import { buffer } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { type FetchOptions, fetchImage } from "../../../src/agent/image/fetch-image.ts";
import { giveHostsAddresses } from "../../support/several-addresses.ts";
import { loopbackTls } from "../support/heartbeat-server.ts";
import { endAt, type Fault, sendImage, serveImage } from "./support/image-server.ts";
import { createNoise } from "./support/test-image.ts";

const image = createNoise(300_000, "image");
const signal = new AbortController().signal;

async function fetchAll(url: string, options: Partial<FetchOptions> = {}): Promise<Buffer> {
  return await buffer(fetchImage(url, { signal, maxBackoffMs: 1, maxFailures: 3, ...options }));
}

/** Cuts the first answer after some bytes; the second one is the fault's. */
const cutFirst =
  (second: Fault): Fault =>
  (request, response, index) => {
    if (index > 0) return second(request, response, index);
    return sendImage(image, request, response, { cutAfter: 100_000 });
  };

test("returns the bytes of the image, and says how many they are", async () => {
  const { url } = await serveImage(image);
  const sizes: unknown[] = [];
  expect((await fetchAll(url, { onStart: (size) => sizes.push(size) })).equals(image)).toBe(true);
  expect(sizes).toEqual([image.length]);
});

describe("a broken connection", () => {
  test("is resumed where it broke, under the condition that the image is the same", async () => {
    const { url, requests } = await serveImage(image, { fault: cutFirst(() => false) });
    const reasons: string[] = [];
    expect((await fetchAll(url, { onRetry: (reason) => reasons.push(reason) })).equals(image)).toBe(true);
    expect(requests).toHaveLength(2);
    expect(requests[1]).toMatchObject({ range: expect.stringMatching(/^bytes=\d+-$/), "if-range": '"one"' });
    expect(reasons).toEqual([expect.stringMatching(/ends early, after \d+ of 300000 bytes: 127\.0\.0\.1:\d+ closed/)]);
  });

  test("is resumed at a server without ranges by leaving out what is there already", async () => {
    const fault: Fault = (request, response, index) => {
      return sendImage(image, request, response, { ranges: false, ...(index === 0 && { cutAfter: 100_000 }) });
    };
    const { url } = await serveImage(image, { fault });
    expect((await fetchAll(url)).equals(image)).toBe(true);
  });

  test("is resumed by the time of the last change where there is no entity tag", async () => {
    const lastModified = "Sun, 29 Nov 2026 10:00:00 GMT";
    const fault: Fault = (request, response, index) => {
      return sendImage(image, request, response, {
        etag: null,
        lastModified,
        ...(index === 0 && { cutAfter: 100_000 }),
      });
    };
    const { url, requests } = await serveImage(image, { fault });
    expect((await fetchAll(url)).equals(image)).toBe(true);
    expect(requests[1]?.["if-range"]).toBe(lastModified);
  });

  test("is resumed where the entity tag is weak from then on, as proxies make it that compress", async () => {
    const fault: Fault = (request, response, index) =>
      sendImage(image, request, response, {
        etag: index === 0 ? '"one"' : 'W/"one"',
        ...(index === 0 && { cutAfter: 100_000 }),
      });
    const { url } = await serveImage(image, { fault });
    expect((await fetchAll(url)).equals(image)).toBe(true);
  });

  test("is tried again as long as bytes arrive, and a few times when none do", async () => {
    let cuts = 0;
    const dripping: Fault = (request, response) => {
      if (++cuts > 10) return false;
      return sendImage(image, request, response, { cutAfter: 20_000 });
    };
    const { url } = await serveImage(image, { fault: dripping });
    expect((await fetchAll(url)).equals(image)).toBe(true);
    const dead = await serveImage(image, { fault: cutFirst((_, response) => Boolean(response.destroy())) });
    await expect(fetchAll(dead.url)).rejects.toThrow(/^cannot fetch from .*given up after 4 attempts/);
    expect(dead.requests.length).toBeGreaterThanOrEqual(4);
  });

  test("of an image that always ends early is told as that", async () => {
    const { url } = await serveImage(image, { fault: endAt(image, 200_000) });
    await expect(fetchAll(url)).rejects.toThrow(
      /^the image ends early, after 200000 of 300000 bytes: 127\.0\.0\.1:\d+ closed the connection \(given up/,
    );
  });

  test("that is silent counts as broken after a while", async () => {
    const fault: Fault = (_request, response, index) => {
      if (index > 0) return false;
      response.writeHead(200, { etag: '"one"', "content-length": image.length });
      response.write(image.subarray(0, 1000));
      return true;
    };
    const { url } = await serveImage(image, { fault });
    const reasons: string[] = [];
    const onRetry = (reason: string) => reasons.push(reason);
    expect((await fetchAll(url, { idleTimeoutMs: 300, onRetry })).equals(image)).toBe(true);
    expect(reasons.join()).toContain("no data for 0.3 s");
  });
});

describe("an image that changes between two ranges is refused", () => {
  const changed = /^the image on 127\.0\.0\.1:\d+ changed while it was fetched: request it again$/;
  const longer = Buffer.concat([image, image]);
  test.each<[string, Fault]>([
    ["by its entity tag, and the server sends it anew", (...to) => sendImage(image, to[0], to[1], { etag: '"two"' })],
    [
      "by its entity tag, and the server ignores the condition",
      (request, response) => {
        delete request.headers["if-range"];
        return sendImage(image, request, response, { etag: '"two"' });
      },
    ],
    ["by its length", (...to) => sendImage(longer, to[0], to[1])],
    ["and is shorter than what is there already", (...to) => sendImage(image.subarray(0, 500), to[0], to[1])],
  ])("%s", async (_how, second) => {
    const { url } = await serveImage(image, { fault: cutFirst(second) });
    await expect(fetchAll(url)).rejects.toThrow(changed);
  });

  test("by its weak entity tag, which is no condition for a range", async () => {
    const fault: Fault = (request, response, index) =>
      sendImage(image, request, response, { etag: `W/"${index}"`, ...(index === 0 && { cutAfter: 1000 }) });
    const { url, requests } = await serveImage(image, { fault });
    await expect(fetchAll(url)).rejects.toThrow(changed);
    expect(requests[1]).toHaveProperty("range");
    expect(requests[1]).not.toHaveProperty("if-range");
  });

  test("by the time of its last change", async () => {
    const fault: Fault = (request, response, index) => {
      const lastModified = `Sun, 29 Nov 2026 10:00:0${index} GMT`;
      return sendImage(image, request, response, { etag: null, lastModified, ...(index === 0 && { cutAfter: 1000 }) });
    };
    await expect(fetchAll((await serveImage(image, { fault })).url)).rejects.toThrow(changed);
  });
});

describe("an answer that is no image", () => {
  const answer =
    (status: number, headers: Record<string, string>, body = ""): Fault =>
    (_request, response) => {
      response.writeHead(status, headers).end(body);
      return true;
    };

  test.each<[string, Fault, RegExp]>([
    [
      "an HTML page",
      answer(200, { "content-type": "text/html; charset=utf-8" }, "<html>"),
      /answers with an HTML page/,
    ],
    ["404", answer(404, {}), /^127\.0\.0\.1:\d+ answers 404 Not Found$/],
    ["403", answer(403, {}), /answers 403 Forbidden$/],
    ["another scheme", answer(302, { location: "ftp://a.example/b" }), /redirects to another scheme, from http to ftp/],
    ["https instead of http", answer(301, { location: "https://a.example/b" }), /another scheme, from http to https/],
    ["a file", answer(302, { location: "file:///etc/passwd" }), /another scheme, from http to file/],
    ["no URL", answer(302, { location: "http://" }), /redirects to something that is not a URL/],
    ["itself", answer(302, { location: "/image" }), /redirects more than 10 times/],
  ])("is refused at once: %s", async (_what, fault, error) => {
    const { url, requests } = await serveImage(image, { fault });
    await expect(fetchAll(url)).rejects.toThrow(error);
    expect(requests.length).toBeLessThanOrEqual(11);
  });

  test("is asked for again when the server cannot answer now", async () => {
    const fault: Fault = (_request, response, index) => {
      if (index > 1) return false;
      response.writeHead(index === 0 ? 503 : 429, { "retry-after": "0" }).end();
      return true;
    };
    const { url, requests } = await serveImage(image, { fault });
    expect((await fetchAll(url)).equals(image)).toBe(true);
    expect(requests).toHaveLength(3);
  });

  test("of another range than the one asked for is refused", async () => {
    const fault = cutFirst((_request, response) => {
      response.writeHead(206, { etag: '"one"', "content-range": "bytes 5-299999/300000" }).end(image.subarray(5));
      return true;
    });
    await expect(fetchAll((await serveImage(image, { fault })).url)).rejects.toThrow(/another range/);
  });

  test("an error never shows the URL, which may contain secrets", async () => {
    const { url } = await serveImage(image, { fault: answer(404, {}) });
    const secret = url.replace("//", "//user:hunter2@").concat("?token=hunter2");
    const error = await fetchAll(secret).catch((reason: Error) => reason);
    expect(String(error)).toContain("answers 404");
    expect(String(error)).not.toContain("hunter2");
  });
});

describe("over https", () => {
  test("CAs of one's own are trusted beside those that Node trusts", async () => {
    const { url } = await serveImage(image, { tls: loopbackTls });
    expect((await fetchAll(url, { ca: loopbackTls.cert })).equals(image)).toBe(true);
  });

  test("a server that nobody trusts is refused at once, with what to do", async () => {
    const { url, requests } = await serveImage(image, { tls: loopbackTls });
    await expect(fetchAll(url)).rejects.toThrow(/not from a CA that this agent trusts: name its CA with --ca$/);
    expect(requests).toEqual([]);
  });

  test("a certificate for another name is refused", async () => {
    const { url } = await serveImage(image, { tls: loopbackTls });
    const elsewhere = fetchAll(url.replace("127.0.0.1", "localhost"), { ca: loopbackTls.cert });
    await expect(elsewhere).rejects.toThrow(/the certificate of localhost:\d+ is not valid/);
  });

  test("a redirect to http is refused", async () => {
    const { url } = await serveImage(image, {
      tls: loopbackTls,
      fault: (_request, response) => Boolean(response.writeHead(302, { location: "http://127.0.0.1/b" }).end()),
    });
    await expect(fetchAll(url, { ca: loopbackTls.cert })).rejects.toThrow(/another scheme, from https to http/);
  });
});

test("follows redirects, and resumes where they led to", async () => {
  const target = await serveImage(image, { fault: cutFirst(() => false) });
  const { url, requests } = await serveImage(image, {
    fault: (_request, response) => Boolean(response.writeHead(307, { location: target.url }).end()),
  });
  expect((await fetchAll(url)).equals(image)).toBe(true);
  expect([requests.length, target.requests.length]).toEqual([1, 2]);
});

test("asks the original URL again when what it redirected to is not valid any more", async () => {
  const expiring = await serveImage(image, {
    fault: cutFirst((_request, response, index) => index === 1 && Boolean(response.writeHead(403).end())),
  });
  const { url, requests } = await serveImage(image, {
    fault: (_request, response) => Boolean(response.writeHead(302, { location: expiring.url }).end()),
  });
  expect((await fetchAll(url)).equals(image)).toBe(true);
  expect([requests.length, expiring.requests.length]).toEqual([2, 3]);
});

test("asks the original URL again when what it redirected to does not answer any more", async () => {
  const dying = await serveImage(image, { fault: cutFirst((_request, response) => Boolean(response.destroy())) });
  const living = await serveImage(image);
  const { url, requests } = await serveImage(image, {
    fault: (_request, response, index) =>
      Boolean(response.writeHead(302, { location: index === 0 ? dying.url : living.url }).end()),
  });
  expect((await fetchAll(url)).equals(image)).toBe(true);
  expect([requests.length, dying.requests.length, living.requests.length]).toEqual([2, 2, 1]);
  expect(living.requests[0]).toMatchObject({ range: expect.stringMatching(/^bytes=\d+-$/), "if-range": '"one"' });
});

test("says why none of a host's addresses answers", async () => {
  giveHostsAddresses();
  await expect(fetchAll("http://images.example:1/os.img")).rejects.toThrow(
    "cannot fetch from images.example:1: connect ECONNREFUSED 127.0.0.1:1, connect ECONNREFUSED 127.0.0.2:1 (given up",
  );
});

test("stops when it is told to, also while it waits for another attempt", async () => {
  const { url } = await serveImage(image, { fault: (_request, response) => Boolean(response.writeHead(503).end()) });
  const controller = new AbortController();
  const fetching = fetchAll(url, {
    signal: controller.signal,
    maxBackoffMs: 60_000,
    onRetry: () => controller.abort(),
  });
  await expect(fetching).rejects.toThrow(/abort/i);
});
