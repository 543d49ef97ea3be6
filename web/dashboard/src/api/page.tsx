// The API page: how much is called, what fails, how quick it is, who calls; one route in detail.

import "./api.css";
import { useState } from "preact/hooks";
import type { Value } from "../ask/answer";
import { setQuery, usePlace } from "../shell/place";
import { useRange } from "../shell/range";
import { visible } from "../text";
import { Consumers } from "./consumers";
import { Drawer } from "./record";
import { Errors, Failures, Slowest, Statuses } from "./errors";
import { Latency } from "./latency";
import { Routes } from "./routes";
import { Totals, Traffic, Times } from "./traffic";

/** What is shown: the range, and the filter of the address as the questions take it. */
export interface Shown {
  range: ReturnType<typeof useRange>;
  route: string | null;
  where: Value | undefined;
}

/** How a route is written in the address that is none: nothing matched the path. */
export const NO_ROUTE = "(none)";

export default function Page() {
  const range = useRange();
  const { query } = usePlace();
  const route = query.get("route");
  const consumer = query.get("consumer");
  const by = query.get("by") ?? "user_id";
  const [opened, setOpened] = useState<string | null>(null);
  const terms: Value[] = [];
  if (route !== null) terms.push(route === NO_ROUTE ? { field: "route", op: "unknown" } : { field: "route", values: [route] });
  if (consumer !== null) terms.push({ field: by, values: [consumer] });
  const where: Value | undefined = terms.length > 1 ? { all: terms } : terms[0];
  const shown: Shown = { range, route, where };
  return (
    <div class="api">
      {(route !== null || consumer !== null) && (
        <p class="tools chosen" role="status">
          <span class="muted">Only calls of</span>
          {route !== null && <Chosen name="route" value={route} />}
          {consumer !== null && <Chosen name="consumer" value={consumer} />}
        </p>
      )}
      <Totals {...shown} />
      <div class="grid">
        <Traffic {...shown} />
        <Times {...shown} />
      </div>
      <Latency {...shown} />
      <Routes {...shown} />
      <div class="grid">
        <Consumers {...shown} />
        <div class="stack">
          <Statuses {...shown} />
          <Errors {...shown} />
        </div>
      </div>
      <div class="grid lists">
        <Failures {...shown} onOpen={setOpened} />
        <Slowest {...shown} onOpen={setOpened} />
      </div>
      {opened && <Drawer id={opened} onClose={() => setOpened(null)} />}
    </div>
  );
}

function Chosen({ name, value }: { name: string; value: string }) {
  return (
    <button type="button" class="button" onClick={() => setQuery({ [name]: null })} aria-label={`Show all again, not only ${name} ${visible(value)}`}>
      <bdi>{visible(value)}</bdi> <span aria-hidden="true">×</span>
    </button>
  );
}
