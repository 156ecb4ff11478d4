/** Lists that are read page by page, as one scrolls. */
import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { callUnaryMethod, createConnectQueryKey, useTransport } from "@connectrpc/connect-query";
import { hashKey, type InfiniteData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { isLong } from "../live/ask-again.ts";

/** Rows in the first page, which somebody waits for, in the second, and in those that follow. */
const pageSizes = [40, 200, 1_000] as const;

/** A list as far as it was read. */
export interface Pages<Row> {
  readonly rows: readonly Row[];
  /** Whether there are no further rows. */
  readonly isWhole: boolean;
  /** What went wrong; null if nothing did. */
  readonly error: unknown;
  /** Whether nothing was read yet. */
  readonly isPending: boolean;
  readonly isReading: boolean;
  /** Whether what was read before is being read again. */
  readonly isRereading: boolean;
  /** Whether rows may have come or gone that the list does not know of, because it is too long to be read again. */
  readonly isBehind: boolean;
  /**
   * Returns when what was read last from the beginning was asked for, by `performance.now()`. What was heard of before
   * is in it.
   */
  readonly whenAsked: () => number;
  /** Reads what follows. Does nothing at the end, and while something is being read. */
  readonly readOn: () => void;
  /** Reads the list anew, from its beginning. */
  readonly readAnew: () => void;
  /** Tries again what went wrong. */
  readonly retry: () => void;
}

/** Options of `usePages`. */
export interface PagesOptions<I extends DescMessage, O extends DescMessage, Row> {
  readonly method: DescMethodUnary<I, O>;
  /** What to ask for, without the page. It must stay the same object for as long as it asks for the same. */
  readonly request: MessageInitShape<I>;
  /** Returns the rows of an answer. It must stay the same function. */
  readonly pick: (answer: MessageShape<O>) => readonly Row[];
  /** Rows in a page. Default: few at first, and more as one scrolls. */
  readonly pageSize?: number;
  /** Whether to ask at all. Default: true. */
  readonly isWanted?: boolean;
  /** How often a list that is not long is asked for again, in milliseconds. Default: never. */
  readonly refreshMs?: number;
}

/** Reads a list of a method that has `page_size`, `page_token` and `next_page_token`. */
export function usePages<I extends DescMessage, O extends DescMessage, Row>(
  options: PagesOptions<I, O, Row>,
): Pages<Row> {
  const { method, request, pick, pageSize: ownPageSize, isWanted = true, refreshMs } = options;
  const transport = useTransport();
  const queries = useQueryClient();
  const queryKey = useMemo(
    () => createConnectQueryKey({ schema: method, transport, input: request, cardinality: "infinite" }),
    [method, transport, request],
  );
  const hash = hashKey(queryKey);
  const askedMs = useRef(0);
  const query = useInfiniteQuery<MessageShape<O>, unknown, InfiniteData<MessageShape<O>>, typeof queryKey, string>({
    queryKey,
    queryFn: ({ pageParam, signal }) => {
      if (pageParam === "") askedMs.current = performance.now();
      const { pageParams = [] } = queries.getQueryData<InfiniteData<unknown, string>>(queryKey) ?? {};
      const known = pageParams.indexOf(pageParam);
      const index = known === -1 ? pageParams.length : known;
      const pageSize = ownPageSize ?? pageSizes[index] ?? pageSizes[2];
      const page = { ...request, pageSize, pageToken: pageParam } as MessageInitShape<I>;
      return callUnaryMethod(transport, method, page, { signal });
    },
    initialPageParam: "",
    getNextPageParam: (answer) => (answer as { readonly nextPageToken?: string }).nextPageToken || undefined,
    enabled: isWanted,
    // Old only once somebody says so: long lists are not read again because time has passed.
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnMount: "always",
    refetchOnWindowFocus: (each) => (isLong(each) ? false : "always"),
    refetchOnReconnect: (each) => (isLong(each) ? false : "always"),
    ...(refreshMs !== undefined && { refetchInterval: (each) => (isLong(each) ? false : refreshMs) }),
  });
  const { data, isStale, isFetching, isFetchingNextPage, hasNextPage } = query;
  const isTooLong = isLong({ state: { data } });
  const [behind, setBehind] = useState<string>();
  useEffect(() => {
    if (isTooLong && (isStale || refreshMs !== undefined)) setBehind(hash);
  }, [isTooLong, isStale, refreshMs, hash]);
  // Whoever comes back sees the beginning, and does not wait for hundreds of pages.
  useEffect(
    () => () => {
      queries.setQueryData<InfiniteData<MessageShape<O>>>(
        queryKey,
        (old) => old && { pages: old.pages.slice(0, 1), pageParams: old.pageParams.slice(0, 1) },
      );
    },
    [queries, queryKey],
  );
  const rows = useMemo(() => data?.pages.flatMap((page) => [...pick(page)]) ?? [], [data, pick]);
  const readAnew = () => {
    setBehind(undefined);
    void queries.resetQueries({ queryKey, exact: true });
  };
  return {
    rows,
    isWhole: data !== undefined && !hasNextPage,
    error: query.error,
    isPending: isWanted && query.isPending,
    isReading: isFetching,
    isRereading: isFetching && !isFetchingNextPage && data !== undefined,
    isBehind: behind === hash,
    whenAsked: () => askedMs.current,
    // After a failure, somebody has to say that it shall be tried again.
    readOn: () => void (hasNextPage && !isFetching && !query.isError && query.fetchNextPage()),
    readAnew,
    retry: () => {
      if (query.isFetchNextPageError) void query.fetchNextPage();
      else if (isTooLong) readAnew();
      else void query.refetch();
    },
  };
}
