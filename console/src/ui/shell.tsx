/** What stands around every page: where one can go, who one is, and what is wrong with the connection. */
import { Link, Outlet, useLocation } from "@tanstack/react-router";
import { useEffect } from "react";
import { useLiveState } from "../live/live-provider.tsx";
import { pages } from "../pages/pages.ts";
import { roleNames } from "../session/session.ts";
import { signOut } from "../session/sign-out.ts";
import { useCaller } from "../session/use-session.ts";
import { Banners } from "./banners.tsx";
import { useFocusHeir } from "./focus-heir.ts";
import { Keyboard } from "./keyboard.tsx";
import { SafeText } from "./safe-text.tsx";

/** The frame of all pages. */
export function Shell() {
  const caller = useCaller();
  useFocusHeir();
  const path = useLocation({ select: ({ pathname }) => pathname });
  // On narrow screens the navigation scrolls sideways.
  // biome-ignore lint/correctness/useExhaustiveDependencies: another path is another current page.
  useEffect(() => {
    document.querySelector("nav [aria-current=page]")?.scrollIntoView({ block: "nearest", inline: "center" });
  }, [path]);
  useEffect(() => {
    document.title = titleOf(path);
  }, [path]);
  return (
    <div className="shell">
      <header>
        <a className="skip-link" href="#content">
          Skip to the page
        </a>
        <Link to="/" className="name">
          bmaas
        </Link>
        <LiveMark />
        <span className="caller">
          <SafeText text={caller.actor} limit={60} /> <span className="quiet">({roleNames[caller.role]})</span>
        </span>
        <button type="button" onClick={() => void signOut()}>
          Sign out
        </button>
      </header>
      <div className="banners">
        <Banners />
      </div>
      <nav aria-label="Pages">
        <ul>
          {pages.map(({ path, name }) => (
            <li key={path}>
              <Link to={path} activeOptions={{ exact: path === "/", includeSearch: false }}>
                {name}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <main id="content" tabIndex={-1}>
        <Outlet />
      </main>
      <Keyboard />
    </div>
  );
}

/** Returns what tabs and histories call a page, such as "4b9f3a52-… – Machines – bmaas". */
function titleOf(path: string): string {
  const [, first = "", second] = path.split("/");
  const name = pages.find((page) => page.path === `/${first}`)?.name;
  return [second?.slice(0, 64), name, "bmaas"].filter(Boolean).join(" – ");
}

function LiveMark() {
  const { status } = useLiveState();
  const words = { live: "● live", connecting: "○ connecting", lost: "○ not connected", paused: "○ paused" } as const;
  return (
    <span className="live-state" role="status">
      {words[status]}
    </span>
  );
}
