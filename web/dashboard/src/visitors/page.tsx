// The Visitors page: who came, from where, with what; what they looked at, where they stopped.

import "./visitors.css";
import type { Value } from "../ask/answer";
import { type Range, useRange } from "../shell/range";
import { visible } from "../text";
import { Countries, Devices, Pages, Sources } from "./breakdowns";
import { FIELDS, narrow, useNarrowed } from "./filter";
import { Forms } from "./forms";
import { Course, Totals } from "./totals";
import { SlowPages, Vitals } from "./vitals";

/** What is shown: the range, and what it is narrowed to. */
export interface Shown {
  range: Range;
  chosen: Readonly<Record<string, string>>;
  where: Value | undefined;
}

export default function Page() {
  const shown: Shown = { range: useRange(), ...useNarrowed() };
  const names = Object.entries(shown.chosen);
  return (
    <div class="visitors">
      {names.length > 0 && (
        <p class="tools" role="status">
          <span class="muted">Only</span>
          {names.map(([field, value]) => (
            <button type="button" class="button" key={field} onClick={() => narrow(field, "")}
              aria-label={`Show all again, not only ${FIELDS[field]} ${visible(value)}`}>
              <span class="muted">{FIELDS[field]}</span> <bdi>{visible(value)}</bdi> <span aria-hidden="true">×</span>
            </button>
          ))}
        </p>
      )}
      <Totals {...shown} />
      <div class="grid">
        <Course {...shown} />
        <Pages {...shown} />
        <Sources {...shown} />
        <Devices {...shown} />
        <Countries {...shown} />
        <div class="grid pair"><Forms {...shown} /></div>
        <Vitals {...shown} />
        <SlowPages {...shown} />
      </div>
    </div>
  );
}
