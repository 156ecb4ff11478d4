/** The pages that the navigation lists, in its order. A page that is opened from another one needs no row. */

/** A row of the navigation. */
export interface PageRow {
  readonly path: string;
  readonly name: string;
}

/** All rows. */
export const pages: readonly PageRow[] = [
  { path: "/", name: "Overview" },
  { path: "/machines", name: "Machines" },
  { path: "/find", name: "Find" },
  { path: "/installations", name: "Installations" },
  { path: "/issues", name: "Issues" },
  { path: "/enrolments", name: "Enrolments" },
  { path: "/holds", name: "Holds" },
  { path: "/tokens", name: "Tokens" },
  { path: "/join-tokens", name: "Join tokens" },
  { path: "/receivers", name: "Receivers" },
  { path: "/server", name: "Server" },
];
