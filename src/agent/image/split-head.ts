/** Looks at the beginning of a stream before deciding what to do with it. */

/**
 * Reads the first `bytes` bytes of `source`, or all of it if it is shorter. `rest` repeats the head and continues with
 * what follows; it can be read once.
 */
export async function splitHead(
  source: AsyncIterable<Buffer>,
  bytes: number,
): Promise<{ head: Buffer; rest: AsyncGenerator<Buffer, void, undefined> }> {
  const iterator = source[Symbol.asyncIterator]();
  const chunks: Buffer[] = [];
  let size = 0;
  while (size < bytes) {
    const { done, value } = await iterator.next();
    if (done) break;
    // The source may use the memory again.
    chunks.push(Buffer.from(value));
    size += value.length;
  }
  const read = Buffer.concat(chunks);
  return { head: read.subarray(0, bytes), rest: repeat(read, iterator) };
}

async function* repeat(read: Buffer, iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  try {
    if (read.length > 0) yield read;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}
