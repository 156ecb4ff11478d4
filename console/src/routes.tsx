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
import { readEnrolmentsSearch } from "./pages/enrolments/enrolments-search.ts";
import { readMachinesSearch } from "./pages/machines/machines-search.ts";
import { readOverviewSearch } from "./pages/overview/overview-search.ts";
import { readConditionSearch } from "./ui/condition-search.ts";
import { readEndedSearch } from "./ui/ended-search.ts";
import { ErrorNote } from "./ui/error-note.tsx";
import { Shell } from "./ui/shell.tsx";

const rootRoute = createRootRoute({ component: Shell, notFoundComponent: NotFound });

const overviewRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/",
  validateSearch: readOverviewSearch,
  component: lazyRouteComponent(() => import("./pages/overview/overview-page.tsx"), "OverviewPage"),
});

const machinesRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/machines",
  validateSearch: readMachinesSearch,
  component: lazyRouteComponent(() => import("./pages/machines/machines-page.tsx"), "MachinesPage"),
});

const machineRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/machines/$machineId",
  component: lazyRouteComponent(() => import("./pages/machine/machine-page.tsx"), "MachinePage"),
});

const serverRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/server",
  component: lazyRouteComponent(() => import("./pages/server/server-page.tsx"), "ServerPage"),
});

const issuesRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/issues",
  validateSearch: readConditionSearch,
  component: lazyRouteComponent(() => import("./pages/issues/issues-page.tsx"), "IssuesPage"),
});

const enrolmentsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/enrolments",
  validateSearch: readEnrolmentsSearch,
  component: lazyRouteComponent(() => import("./pages/enrolments/enrolments-page.tsx"), "EnrolmentsPage"),
});

const tokensRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/tokens",
  validateSearch: readEndedSearch,
  component: lazyRouteComponent(() => import("./pages/tokens/tokens-page.tsx"), "TokensPage"),
});

const joinTokensRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/join-tokens",
  validateSearch: readEndedSearch,
  component: lazyRouteComponent(() => import("./pages/join-tokens/join-tokens-page.tsx"), "JoinTokensPage"),
});

const receiversRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/receivers",
  component: lazyRouteComponent(() => import("./pages/receivers/receivers-page.tsx"), "ReceiversPage"),
});

const deliveriesRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/receivers/$name",
  validateSearch: readConditionSearch,
  component: lazyRouteComponent(() => import("./pages/receivers/deliveries-page.tsx"), "DeliveriesPage"),
});

const installationsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/installations",
  validateSearch: readConditionSearch,
  component: lazyRouteComponent(() => import("./pages/installations/installations-page.tsx"), "InstallationsPage"),
});

const holdsRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: "/holds",
  validateSearch: readConditionSearch,
  component: lazyRouteComponent(() => import("./pages/holds/holds-page.tsx"), "HoldsPage"),
});

/** The router of this tab. */
export const router = createRouter({
  routeTree: rootRoute.addChildren([
    overviewRoute,
    machinesRoute,
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

function PageError({ error, reset }: ErrorComponentProps) {
  return (
    <>
      <h1>This page failed</h1>
      <ErrorNote error={error} onRetry={reset} />
    </>
  );
}
