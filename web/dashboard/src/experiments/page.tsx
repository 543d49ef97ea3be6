// Experiments: which there are, and of one what it shows, how it came to be, and what to do about it.

import { useData } from "../ask/question";
import { href, usePlace } from "../shell/place";
import { type Range, useRange } from "../shell/range";
import { visible } from "../text";
import "../steps/steps.css";
import { Exposure, Intervals } from "./course";
import "./experiments.css";
import { Asked } from "./asked";
import { Arms, Metrics, Verdict } from "./judged";
import { Experiments } from "./list";
import { type Course, type Told, restOf } from "./report";

const PASSED = ["unit", "within", "split", "control", "fixed", "cuped", "minimum"];

export default function Page() {
  const range = useRange();
  const { query } = usePlace();
  const key = query.get("key") ?? "";
  return (
    <div class="experiments">
      {key ? <One key={key} name={key} range={range} query={query} /> : <div class="grid"><Experiments range={range} /></div>}
    </div>
  );
}

function One({ name, range, query }: { name: string; range: Range; query: URLSearchParams }) {
  // A range that goes on is asked until now: the server takes the end of this hour.
  const asked = new URLSearchParams({ since: range.since, zone: range.zone, ...(range.current ? {} : { until: range.until }) });
  for (const each of PASSED) if (query.get(each)) asked.set(each, query.get(each) ?? "");
  for (const each of ["decides", "guards"]) for (const metric of query.get(each)?.split("\n") ?? []) if (metric) asked.append(each === "decides" ? "metric" : "guardrail", metric);
  const told = useData<Told>("experiments", restOf(name, "", asked), range.current);
  const course = useData<Course>("experiments", restOf(name, "/course", asked), range.current);
  const shared = { zone: range.zone };
  return (
    <>
      <nav class="crumbs" aria-label="Where"><a href={href("experiments")}>All experiments</a> <span aria-hidden="true">/</span> <b><bdi>{visible(name)}</bdi></b></nav>
      <Asked query={query} told={told.value} />
      <div class="grid">
        <Verdict told={told} name={name} query={asked} {...shared} />
        <Metrics told={told} {...shared} />
        <Arms told={told} {...shared} />
        <Exposure course={course} {...shared} />
        <Intervals course={course} report={told.value?.report ?? null} {...shared} />
      </div>
    </>
  );
}
