/** Asks who it is: as a page of its own at first, and above the open page after a session has ended. */
import { useEffect, useId, useState } from "react";
import { Button } from "../ui/button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Trouble } from "../ui/error-note.tsx";
import { firstFacts, type ServerFacts } from "./server-facts.ts";
import { signInWith } from "./sign-in-by-token.ts";
import { signOut } from "./sign-out.ts";
import { useSession } from "./use-session.ts";

/** The page that is shown until somebody has signed in. The address stays, so that its page comes after that. */
export function SignInPage() {
  const state = useSession();
  return (
    <main className="sign-in">
      <h1>bmaas</h1>
      <SignInForm reason={state.status === "signed-out" ? state.reason : undefined} />
    </main>
  );
}

/** Asks again above the open page, which keeps what was typed in it. */
export function SignInDialog() {
  const state = useSession();
  const reason = state.status === "ended" ? `The session has ended: ${state.reason}.` : undefined;
  return (
    <Dialog title="Sign in again" onClose={() => void signOut()} closeLabel="Sign out" isSticky>
      <SignInForm reason={reason} isOverPage />
      <p className="quiet">What you typed on the page stays.</p>
    </Dialog>
  );
}

function SignInForm(props: {
  readonly reason: string | undefined;
  /** Whether it stands above a page that keeps what was typed in it. */
  readonly isOverPage?: boolean;
}) {
  const { reason, isOverPage = false } = props;
  const [facts, setFacts] = useState<ServerFacts>();
  const [token, setToken] = useState("");
  const [isKept, setIsKept] = useState(false);
  const [trouble, setTrouble] = useState(reason);
  const [isBusy, setIsBusy] = useState(false);
  /** Ends the wait for a window at the issuer. */
  const [waiting, setWaiting] = useState<AbortController>();
  const id = useId();
  useEffect(() => void firstFacts.then(setFacts), []);

  const attempt = async (signIn: () => Promise<void>) => {
    setIsBusy(true);
    setTrouble(undefined);
    try {
      await signIn();
    } catch (error) {
      setTrouble(error instanceof Error ? error.message : String(error));
      setIsBusy(false);
    }
  };
  const signInAtIssuer = async () => {
    const { beginOidcSignIn } = await import("./oidc.ts");
    await beginOidcSignIn(isKept);
  };
  // Whoever closes the window must be able to open another one, so nothing is busy meanwhile.
  const signInInWindow = async () => {
    waiting?.abort();
    const stop = new AbortController();
    setWaiting(stop);
    setTrouble(undefined);
    try {
      await (await import("./oidc.ts")).signInInWindow(isKept, stop.signal);
    } catch (error) {
      if (stop.signal.aborted) return;
      setTrouble(error instanceof Error ? error.message : String(error));
      setWaiting(undefined);
    }
  };
  useEffect(() => () => waiting?.abort(), [waiting]);

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void attempt(() => signInWith({ token: token.trim(), isKept }));
      }}
    >
      {trouble !== undefined && <Trouble>{trouble}</Trouble>}
      {facts?.oidc != null && (
        <p>
          <Button
            className="primary"
            isInert={isBusy}
            onClick={() => void (isOverPage ? signInInWindow() : attempt(signInAtIssuer))}
          >
            Sign in at {new URL(facts.oidc.issuer).host}
          </Button>
          {waiting !== undefined && <span role="status"> Go on in the other window.</span>}
        </p>
      )}
      <label htmlFor={`${id}-token`}>{facts?.oidc == null ? "Token" : "Or with a token"}</label>
      <input
        id={`${id}-token`}
        type="password"
        autoComplete="off"
        spellCheck={false}
        value={token}
        onChange={(event) => setToken(event.target.value)}
        aria-describedby={`${id}-hint`}
      />
      <p id={`${id}-hint`} className="quiet">
        The first administrator's token is in the file that the server names when it starts.{" "}
        <code>bmaas tokens create</code> makes others.
      </p>
      <label className="checkbox">
        <input type="checkbox" checked={isKept} onChange={(event) => setIsKept(event.target.checked)} />
        Keep me signed in when I reload this tab
      </label>
      <p>
        <Button type="submit" isInert={isBusy || token.trim() === ""}>
          {isBusy ? "Signing in…" : "Sign in"}
        </Button>
      </p>
    </form>
  );
}
