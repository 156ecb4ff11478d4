/** The console as a whole: who is signed in, what is live, and the page that the URL names. */
import { TransportProvider } from "@connectrpc/connect-query";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { LiveProvider } from "./live/live-provider.tsx";
import { queryClient } from "./query-client.ts";
import { router } from "./routes.tsx";
import { session } from "./session/session.ts";
import { SignInDialog, SignInPage } from "./session/sign-in.tsx";
import { transport } from "./session/transport.ts";
import { useSession } from "./session/use-session.ts";
import { Trouble } from "./ui/error-note.tsx";

/** Shows the sign-in page until somebody has signed in. An ended session leaves the page as it is, under a dialog. */
export function App() {
  const state = useSession(session);
  const { status } = state;
  return (
    <TransportProvider transport={transport}>
      <QueryClientProvider client={queryClient}>
        {status === "starting" && <Starting trouble={state.trouble} />}
        {status === "handed-over" && <p className="centered">You are signed in again. You can close this window.</p>}
        {status === "signed-out" && <SignInPage />}
        {(status === "signed-in" || status === "ended") && (
          <LiveProvider isPaused={status === "ended"}>
            <RouterProvider router={router} />
            {status === "ended" && <SignInDialog />}
          </LiveProvider>
        )}
      </QueryClientProvider>
    </TransportProvider>
  );
}

function Starting({ trouble }: { readonly trouble: string | undefined }) {
  if (trouble === undefined) return <p className="centered">Signing in…</p>;
  return (
    <main className="sign-in">
      <h1>bmaas</h1>
      <Trouble>{trouble}</Trouble>
      <p>You are still signed in, and this page tries again by itself.</p>
      <p>
        <button type="button" onClick={() => session.signOut()}>
          Sign in as somebody else
        </button>
      </p>
    </main>
  );
}
