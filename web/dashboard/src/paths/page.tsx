// Paths: which pages, routes or steps follow each other within sessions.

import { useEffect, useState } from "preact/hooks";
import { type Answer, type Value, number, place, single } from "../ask/answer";
import { type Question, useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { Figures } from "../chart/figures";
import { Sankey } from "../chart/sankey";
import { setQuery, usePlace } from "../shell/place";
import { COMPARES, type Range, useRange } from "../shell/range";
import { useKinds } from "../steps/fields";
import "../steps/steps.css";
import { visible } from "../text";
import { drawing, edgesOf, nameOf } from "./edges";
import { List } from "./list";
import { Pickers, type Walk } from "./pickers";
import "./paths.css";

const WIDE = "(min-width: 640px)";
const DEEPEST = 10;
/** Which interactions have nodes of a field, where nothing else is said: pages and calls have paths both. */
const USUAL: Readonly<Record<string, string>> = { path: "page_view", route: "api_call" };

export default function Page() {
  const range = useRange();
  const still = { ...range, compare: "" as const };
  const kinds = useKinds();
  const walk = useWalk();
  const shared = { unit: walk.unit };
  const where = whereOf(walk);
  const paths = useQuestion("paths", {
    ...shared, ...where, node: walk.node, depth: walk.depth, top: walk.top, ...(walk.start ? { start: walk.start } : {}), ...(walk.end ? { end: walk.end } : {}),
  }, still);
  const sessions = useQuestion("sessions", { ...shared, ...where, grain: null }, range);
  const backwards = walk.end !== "" && walk.start === "";
  const choose = (node: string) => setQuery(backwards ? { end: node } : { start: node });
  return (
    <div class="paths">
      <Pickers walk={walk} range={range} kinds={kinds} />
      <Sessions data={sessions} range={range} of={walk.of} />
      <Card id="paths" tall={560} title={titleOf(walk)} note="sessions that go each way" data={paths} zone={range.zone}
        hint={<p>{walk.start || walk.end ? "No session goes this way in this range." : "No interaction of this range has such a node: take another kind, or a longer range."}</p>}
        definition={`Sessions as sequences of the ${walk.node} of ${walk.of === "*" ? "interactions" : walk.of}, the same one in a row counted once; a session ends after 30 minutes without an interaction. Of each step the ${walk.top} ways with the most sessions.`}>
        {(answer) => <Drawn answer={answer} backwards={backwards} onChoose={choose} />}
      </Card>
    </div>
  );
}

function Drawn({ answer, backwards, onChoose }: { answer: Answer; backwards: boolean; onChoose: (node: string) => void }) {
  const edges = edgesOf(answer);
  const { nodes, flows } = drawing(edges);
  const wide = useWide();
  return (
    <div class="beside">
      {wide && <Sankey nodes={nodes} flows={flows} unit="sessions" label="Paths" height={520} onChoose={(id) => nameOf(id) && onChoose(nameOf(id))} />}
      <List edges={edges} backwards={backwards} onChoose={onChoose} />
    </div>
  );
}

/** Whether there is room for the drawing; on a telephone the list says it all. */
function useWide(): boolean {
  const [wide, setWide] = useState(() => matchMedia(WIDE).matches);
  useEffect(() => {
    const media = matchMedia(WIDE);
    const changed = () => setWide(media.matches);
    media.addEventListener("change", changed);
    return () => media.removeEventListener("change", changed);
  }, []);
  return wide;
}

/** Which interactions are nodes. A view is told once more when it is left: that report is no step. */
function whereOf({ of }: Walk): { where?: Value } {
  if (of === "*") return {};
  const type: Value = { field: "interaction_type", values: [of] };
  return { where: of === "page_view" ? { all: [type, { field: "properties.engagement_ms", op: "unknown" }] } : type };
}

function Sessions({ data, range, of }: { data: Question; range: Range; of: string }) {
  return (
    <Card id="sessions" tall={[46, 92]} title={of === "*" ? "Sessions of any interaction" : `Sessions of ${visible(of)}`} data={data} zone={range.zone} definition={`The sessions that the paths below are of: ${of === "*" ? "interactions" : `interactions ${of}`} of one unit without a pause of more than 30 minutes. A bounce is a session with one of them. The page Visitors counts screens of apps and visitors without any id, too, so it may have more.`}>
      {(answer) => {
        const change = (name: string) => answer.compared?.changes?.[place(answer, name)];
        return (
          <Figures than={COMPARES[range.compare].toLowerCase()} figures={[
            { label: "Sessions", name: "sessions", value: single(answer, "sessions"), unit: "sessions", change: change("sessions") },
            { label: of === "page_view" ? "Views in each" : "Interactions in each", name: "events", value: number(answer.rows[0], place(answer, "events_per_session")), unit: "", change: change("events_per_session") },
            { label: "Half last at most", name: "median", value: single(answer, "median_seconds"), unit: "s", change: change("median_seconds") },
            { label: "Bounces", name: "bounces", value: single(answer, "bounce_share"), unit: "0 to 1", change: change("bounce_share"), better: "down" },
          ]} />
        );
      }}
    </Card>
  );
}

function titleOf(walk: Walk): string {
  if (walk.start && walk.end) return "Paths from a node to another";
  return walk.start ? "Paths from a node" : walk.end ? "Paths to a node" : "Paths from the beginning of sessions";
}

function useWalk(): Walk {
  const { query } = usePlace();
  const node = query.get("node") || "path";
  const whole = (name: string, usual: number, most: number) => {
    const said = Number(query.get(name));
    return Number.isInteger(said) && said >= 1 && said <= most ? said : usual;
  };
  return {
    node, of: query.get("of") || (USUAL[node] ?? "*"), start: query.get("start") ?? "", end: query.get("end") ?? "",
    depth: whole("depth", 4, DEEPEST), top: whole("top", 10, 100), unit: query.get("unit") || "person",
  };
}
