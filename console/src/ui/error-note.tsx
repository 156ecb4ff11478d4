/** Errors of calls in words. */
import { Code, ConnectError } from "@connectrpc/connect";
import type { ReactNode } from "react";
import { reasonOf } from "../session/reason-of.ts";

/** Returns what went wrong as a sentence: the server's own words, and what to do where the code tells. */
export function describeError(error: unknown): string {
  const { code, rawMessage } = ConnectError.from(error);
  const text = rawMessage === "" ? "The server gave no reason" : capitalize(rawMessage);
  switch (code) {
    case Code.Unavailable:
    case Code.Unknown:
      return `The server cannot be reached or is not ready: ${reasonOf(error)}.`;
    case Code.Canceled:
      return "The call was cancelled.";
    default:
      return /[.!?]$/.test(text) ? text : `${text}.`;
  }
}

/** Shows what is wrong, and reads it to those who cannot see it. */
export function Trouble({ children }: { readonly children: ReactNode }) {
  return (
    <p role="alert" className="trouble">
      {children}
    </p>
  );
}

/** Shows an error, with a button to try again if there is something to try. */
export function ErrorNote({ error, onRetry }: { readonly error: unknown; readonly onRetry?: () => void }) {
  return (
    <Trouble>
      {describeError(error)}{" "}
      {onRetry !== undefined && (
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </Trouble>
  );
}

/** Shows the error of a query, if there is one. */
export function QueryError(props: { readonly query: { readonly error: unknown; readonly refetch: () => unknown } }) {
  const { error, refetch } = props.query;
  return error === null ? null : <ErrorNote error={error} onRetry={() => void refetch()} />;
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
