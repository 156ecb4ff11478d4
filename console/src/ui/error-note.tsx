/** Errors of calls in words. */
import { Code, ConnectError } from "@connectrpc/connect";

/** Returns what went wrong as a sentence: the server's own words, and what to do where the code tells. */
export function describeError(error: unknown): string {
  const { code, rawMessage } = ConnectError.from(error);
  const text = rawMessage === "" ? "The server gave no reason" : capitalize(rawMessage);
  switch (code) {
    case Code.Unavailable:
    case Code.Unknown:
      return `The server cannot be reached or is not ready: ${rawMessage}.`;
    case Code.Canceled:
      return "The call was cancelled.";
    default:
      return /[.!?]$/.test(text) ? text : `${text}.`;
  }
}

/** Shows an error, with a button to try again if there is something to try. */
export function ErrorNote({ error, onRetry }: { readonly error: unknown; readonly onRetry?: () => void }) {
  return (
    <p role="alert" className="trouble">
      {describeError(error)}{" "}
      {onRetry !== undefined && (
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </p>
  );
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
