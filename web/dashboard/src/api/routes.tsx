// The table of routes: choosing one shows the page of it alone.

import { text } from "../ask/answer";
import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { Table } from "../chart/table";
import { setQuery } from "../shell/place";
import { visible } from "../text";
import { figure } from "../unit";
import { NO_ROUTE, type Shown } from "./page";

const COLUMNS = ["route", "calls", "calls_per_minute", "client_error_rate", "error_rate", "p50", "p95", "p99", "longest", "apdex"];
const TITLES = {
  calls_per_minute: "a minute", client_error_rate: "refused", error_rate: "failed",
};

export function Routes({ range, route, where }: Shown) {
  const routes = useQuestion("api_health", { by: ["method", "route"], where, limit: 500 }, { ...range, compare: "" });
  return (
    <Card id="routes" tall={498} title={route === null ? "Routes" : "This route"} data={routes} zone={range.zone} hint={<p>No calls in this range.</p>}
      definition="Each route with its calls by everybody, the share that was refused (4xx) and failed (5xx), response times by nearest rank and Apdex of 300 ms. Choose a route to see it alone; choose a heading to sort.">
      {(answer) => (
        <Table columns={answer.columns} rows={answer.rows} label="Routes" zone={range.zone} only={COLUMNS} titles={TITLES} sort="-calls" most={50}
          cells={{
            apdex: (value) => figure("", typeof value === "number" ? value : null),
            calls_per_minute: (value) => figure("", typeof value === "number" ? value : null),
            route: (value, row) => {
              const method = text(row, answer.columns.findIndex((column) => column.name === "method"));
              const name = text([value], 0) ?? NO_ROUTE;
              return (
                <button type="button" class="link route" aria-pressed={route === name} onClick={() => setQuery({ route: route === name ? null : name })}>
                  <span class="muted method">{visible(method ?? "")}</span> <bdi>{visible(name)}</bdi>
                </button>
              );
            },
          }} />
      )}
    </Card>
  );
}
