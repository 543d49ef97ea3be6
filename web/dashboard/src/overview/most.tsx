// What is used most in the range: pages and routes.

import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { Bars } from "../chart/bars";
import { go, href } from "../shell/place";
import type { Range } from "../shell/range";

interface Given {
  range: Range;
}

export function Pages({ range }: Given) {
  // A view is told once more when it is left: that report is no view of its own.
  const series = [{ event: "page_view", label: "Views", where: { field: "properties.engagement_ms", op: "unknown" } }];
  const pages = useQuestion("trend", { grain: null, series, by: ["path"], top: 8, where: { field: "path", op: "known" } }, { ...range, compare: "" });
  const sorted = pages.value && { ...pages.value, rows: [...pages.value.rows].sort((a, b) => Number(b[1]) - Number(a[1])) };
  return (
    <Card id="pages" tall={238} title="Pages" note={range.label} data={{ ...pages, value: sorted }} questions={[pages]} hint={<p>No page was opened in this range.</p>}
      definition="Pages by how often they were opened: without screens of apps, which the page Visitors counts, too. Programs and the team's own traffic are left out.">
      {(answer) => <Bars answer={answer} name="path" value="series_1" label="Pages" most={8} />}
    </Card>
  );
}

export function Routes({ range }: Given) {
  const routes = useQuestion("api_health", { by: ["route"], limit: 8 }, { ...range, compare: "" });
  return (
    <Card id="routes" tall={259} title="Routes" note={range.label} data={routes} hint={<p>No calls in this range.</p>}
      definition="Routes of the API by calls of everybody, programs and the team too, with the response time of 95 of 100. Choose one to see it on the page API.">
      {(answer) => (
        <Bars answer={answer} name="route" value="calls" more={["p95"]} label="Routes" most={8}
          onChoose={(route) => route && go(href("api", { route }))} />
      )}
    </Card>
  );
}
