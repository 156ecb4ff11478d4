/** Asks who it is: as a page of its own at first, and above the open page after a session has ended. */
import { useEffect, useId, useState } from "react";
import { Dialog } from "../ui/dialog.tsx";
import { firstFacts, type ServerFacts } from "./server-facts.ts";
import { session } from "./session.ts";
import { signInWith } from "./sign-in-by-token.ts";
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
    <Dialog title="Sign in again" onClose={() => session.signOut()} closeLabel="Sign out">
      <SignInForm reason={reason} />
      <p className="quiet">What you typed on the page stays.</p>
    </Dialog>
  );
}

function SignInForm({ reason }: { readonly reason: string | undefined }) {
  const [facts, setFacts] = useState<ServerFacts>();
  const [token, setToken] = useState("");
  const [isKept, setIsKept] = useState(false);
  const [trouble, setTrouble] = useState(reason);
  const [isBusy, setIsBusy] = useState(false);
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

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void attempt(() => signInWith({ token: token.trim(), isKept }));
      }}
    >
      {trouble !== undefined && (
        <p role="alert" className="trouble">
          {trouble}
        </p>
      )}
      {facts?.oidc != null && (
        <p>
          <button type="button" className="primary" disabled={isBusy} onClick={() => void attempt(signInAtIssuer)}>
            Sign in at {new URL(facts.oidc.issuer).host}
          </button>
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
        <button type="submit" disabled={isBusy || token.trim() === ""}>
          {isBusy ? "Signing in…" : "Sign in"}
        </button>
      </p>
    </form>
  );
}
