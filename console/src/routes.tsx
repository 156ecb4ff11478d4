/**
 * Which page a URL shows. Each page is loaded when it is first opened, and keeps its filters in the URL:
 * `validateSearch` turns whatever stands there into what the page understands, and drops the rest. What reads it is
 * loaded with the first page, and so imports little.
 */
import {
  createRootRoute,
  createRoute,
  createRouter,
  type ErrorComponentProps,
  lazyRouteComponent,
} from "@tanstack/react-router";
import type { ReactNode } from "react";
import { readEnrolmentsSearch } from "./pages/enrolments/enrolments-search.ts";
import { readFindSearch } from "./pages/find/find-search.ts";
import { readMachinesSearch } from "./pages/machines/machines-search.ts";
import { readOverviewSearch } from "./pages/overview/overview-search.ts";
import { readConditionSearch } from "./ui/condition-search.ts";
import { readEndedSearch } from "./ui/ended-search.ts";
import { ErrorNote, Trouble } from "./ui/error-note.tsx";
import { Shell } from "./ui/shell.tsx";

/**
 * Returns a page that is loaded when it is first opened. The router would load the whole tab anew if that fails, and a
 * token in memory would be lost: it does so for the browser's own errors only.
 */
function lazyPage<Module extends Record<string, () => ReactNode>, Name extends keyof Module>(
  load: () => Promise<Module>,
  name: Name,
) {
  const loadOrSay = async () => {
    try {
      return await load();
    } catch (error) {
      throw new PageAwayError("this page could not be loaded", { cause: error });
    }
  };
  return lazyRouteComponent(loadOrSay, name);
}

/** A page could not be loaded. The page says so itself. */
export class PageAwayError extends Error {
  override readonly name = "PageAwayError";
}

const rootRoute = createRootRoute({ component: Shell, notFoundComponent: NotFound });

const overviewRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/",
  validateSearch: readOverviewSearch,
  component: lazyPage(() => import("./pages/overview/overview-page.tsx"), "OverviewPage"),
});

const machinesRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/machines",
  validateSearch: readMachinesSearch,
  component: lazyPage(() => import("./pages/machines/machines-page.tsx"), "MachinesPage"),
});

const findRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/find",
  validateSearch: readFindSearch,
  component: lazyPage(() => import("./pages/find/find-page.tsx"), "FindPage"),
});

const machineRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/machines/$machineId",
  component: lazyPage(() => import("./pages/machine/machine-page.tsx"), "MachinePage"),
});

const serverRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/server",
  component: lazyPage(() => import("./pages/server/server-page.tsx"), "ServerPage"),
});

const issuesRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/issues",
  validateSearch: readConditionSearch,
  component: lazyPage(() => import("./pages/issues/issues-page.tsx"), "IssuesPage"),
});

const enrolmentsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/enrolments",
  validateSearch: readEnrolmentsSearch,
  component: lazyPage(() => import("./pages/enrolments/enrolments-page.tsx"), "EnrolmentsPage"),
});

const tokensRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/tokens",
  validateSearch: readEndedSearch,
  component: lazyPage(() => import("./pages/tokens/tokens-page.tsx"), "TokensPage"),
});

const joinTokensRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/join-tokens",
  validateSearch: readEndedSearch,
  component: lazyPage(() => import("./pages/join-tokens/join-tokens-page.tsx"), "JoinTokensPage"),
});

const receiversRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/receivers",
  component: lazyPage(() => import("./pages/receivers/receivers-page.tsx"), "ReceiversPage"),
});

const deliveriesRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/receivers/$name",
  validateSearch: readConditionSearch,
  component: lazyPage(() => import("./pages/receivers/deliveries-page.tsx"), "DeliveriesPage"),
});

const installationsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/installations",
  validateSearch: readConditionSearch,
  component: lazyPage(() => import("./pages/installations/installations-page.tsx"), "InstallationsPage"),
});

const holdsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/holds",
  validateSearch: readConditionSearch,
  component: lazyPage(() => import("./pages/holds/holds-page.tsx"), "HoldsPage"),
});

/** The router of this tab. */
export const router = createRouter({
  routeTree: rootRoute.addChildren([
    overviewRoute,
    machinesRoute,
    findRoute,
    machineRoute,
    serverRoute,
    issuesRoute,
    enrolmentsRoute,
    tokensRoute,
    joinTokensRoute,
    receiversRoute,
    deliveriesRoute,
    installationsRoute,
    holdsRoute,
  ]),
  defaultPreload: "intent",
  defaultErrorComponent: PageError,
  defaultPendingComponent: () => <p className="quiet">Loading the page…</p>,
  scrollRestoration: false,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

function NotFound() {
  return (
    <>
      <h1>There is no such page</h1>
      <p>The address names nothing that this console knows. The navigation lists its pages.</p>
    </>
  );
}

function PageError({ error }: ErrorComponentProps) {
  const retry = () => void router.invalidate();
  if (!(error instanceof PageAwayError)) {
    return (
      <>
        <h1>This page failed</h1>
        <ErrorNote error={error} onRetry={retry} />
      </>
    );
  }
  return (
    <>
      <h1>This page could not be loaded</h1>
      <Trouble>
        The server is away, or has a newer version of this page.{" "}
        <button type="button" onClick={retry}>
          Try again
        </button>
      </Trouble>
    </>
  );
}
