// Today beside what is usual: the hours as a chart, figures and outcomes as numbers with their range.

import type { Data, Question } from "../ask/question";
import { Card } from "../card/card";
import { Series } from "../chart/series";
import type { Lines } from "../chart/lines";
import { visible } from "../text";
import { change, day, figure } from "../unit";
import { type Figure, type Overview, figureTable, hourTable } from "./said";

type Given = { data: Data<Overview> };

export function Hours({ data, zone }: Given & { zone: string }) {
  return (
    <Card id="today" title="Today, hour by hour" note={<Known data={data} />} data={data} zone={zone} questions={asked(data, "hours")}
      table={data.value ? hourTable(data.value.hours) : null} empty={false}
      definition="Everything that was recorded today, by hour. The dashed line is the median of the same hour on the last four days of the same weekday that the lake knows, the band reaches from the least to the greatest of them. Programs and the team's own traffic are left out.">
      {(found) => {
        const known = found.known.length > 0;
        return (
          <Series data={linesOf(found)} zone={zone} label="Today, hour by hour" height={220} before={known ? "Usual" : ""}
            {...(known ? { band: { label: "Usual range", low: found.hours.map((hour) => hour.low), high: found.hours.map((hour) => hour.high) } } : {})} />
        );
      }}
    </Card>
  );
}

function linesOf(found: Overview): Lines {
  const x = found.hours.map((hour) => Date.parse(hour.moment));
  const line = { label: "Interactions", unit: "interactions", values: found.hours.map((hour) => (hour.over ? hour.today : null)) };
  // The running hour stands apart: it would look like a fall.
  const running = { label: "This hour so far", unit: "interactions", values: found.hours.map((hour) => (hour.over ? null : hour.today)) };
  const before = found.hours.map((hour) => hour.usual);
  return { x, dates: false, beforeX: x, lines: [found.known.length ? { ...line, before } : line, running] };
}

/** Which days say what is usual. */
function Known({ data }: Given) {
  const known = data.value?.known ?? [];
  if (!data.value) return null;
  if (!known.length) return <>nothing is usual yet: the lake knows no such weekday before</>;
  return <span title={known.map(day).join(", ")}>usual of {known.length === 1 ? "one day" : `${known.length} days`} of this weekday</span>;
}

export function Figures({ data }: Given) {
  return (
    <Card id="figures" title="So far today" data={data} questions={asked(data, "figures")} empty={false}
      table={data.value ? figureTable(data.value.figures) : null}
      definition="Each figure of today so far (of the calendar of the chosen zone, by when things happened), and beside it what is usual until this time of day: the median of the last four days of the same weekday that the lake knows, and the least and greatest of them. Calls of the API are everybody's, as on the page API; the others leave out programs and the team's own traffic.">
      {(found) => <List figures={found.figures} />}
    </Card>
  );
}

export function Outcomes({ data }: Given) {
  return (
    <Card id="outcomes" title="What came of it today" data={data} questions={asked(data, "outcomes")} empty={false}
      table={data.value ? figureTable(data.value.outcomes) : null}
      definition="Outcomes of today so far, each on the day on which it was told, and beside each what is usual until this time of day on the same weekday. Matches, demos, deals and feedback are everybody's, as on the page Partners; flows leave out programs and the team's own traffic.">
      {(found) => <List figures={found.outcomes} />}
    </Card>
  );
}

function List({ figures }: { figures: Figure[] }) {
  return (
    <dl class="beside">
      {figures.map((each) => (
        <div key={each.name} title={each.doc}>
          <dt>{visible(each.name)}</dt>
          <dd data-figure={each.name} data-value={each.today ?? ""}>{figure(each.unit, each.today)}</dd>
          <dd class="muted small usual">{each.days ? <>usual {figure(each.unit, each.usual)}{range(each)}</> : ""}</dd>
          <dd class={`small share ${verdict(each)}`}>{change(each.change) || beyond(each)}{each.change !== null && <span class="sr"> than usual</span>}</dd>
        </div>
      ))}
    </dl>
  );
}

function range({ unit, low, high, days }: Figure): string {
  return days > 1 && low !== high ? ` (${figure(unit, low)} – ${figure(unit, high)})` : "";
}

/** A colour only where today is outside of everything that is known. */
function verdict({ today, low, high, days, more_is }: Figure): string {
  if (today === null || low === null || high === null || days < 2 || (today >= low && today <= high)) return "muted";
  return (today > high) === (more_is === "better") ? "good" : "bad";
}

/** In a word, where usual is nothing and so no share can be told. */
function beyond({ today, low, high, days }: Figure): string {
  if (today === null || low === null || high === null || !days) return "";
  return today > high ? "above" : today < low ? "below" : "";
}

/** The trends behind it, for "how is this computed?". */
function asked(data: Data<Overview>, name: string): Question[] {
  return [name, `${name}_of_everybody`].flatMap((each) => {
    const parameters = data.value?.questions[each];
    return parameters ? [{ value: null, refused: null, busy: false, at: data.at, again: data.again, kind: "trend", parameters }] : [];
  });
}
