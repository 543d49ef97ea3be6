// Pages, sources, devices and countries: each value narrows the page when it is chosen.

import { type Answer, number, place } from "../ask/answer";
import { useQuestion } from "../ask/question";
import { Card } from "../card/card";
import { Bars } from "../chart/bars";
import { visible } from "../text";
import { narrow } from "./filter";
import type { Shown } from "./page";
import { Tabs, useTab } from "./tabs";

const PAGES = { views: "Pages", entries: "Entries", exits: "Exits" };
const MORE: Readonly<Record<string, string[]>> = {
  views: ["median_seconds", "visitors"],
  entries: ["bounce_share"],
  exits: ["exit_share"],
};

const TITLES = { median_seconds: "median time", bounce_share: "bounced", exit_share: "left" };

export function Pages({ range, where, chosen }: Shown) {
  const pages = useQuestion("pages", { where, limit: 200 }, range);
  const tab = useTab("pages", PAGES);
  return (
    <Card id="pages" tall={340} title="Pages" data={pages} zone={range.zone} hint={<p>No views in this range.</p>} tools={<Tabs name="pages" label="Which pages" tabs={PAGES} />}
      definition="How often each page was seen and by how many, for how long it was in use, how many sessions began and ended there, and how many had no other view. Of a page on which a session ends it is the last view.">
      {(answer) => (
        <Bars answer={largest(answer, tab)} name="path" value={tab} more={MORE[tab] ?? []} titles={TITLES} chosen={chosen["path"] ?? ""}
          onChoose={(path) => narrow("path", path)} label={`Pages by ${tab}`} none="(no path)" />
      )}
    </Card>
  );
}

/** The rows that have any of it, the largest first. */
function largest(answer: Answer, column: string): Answer {
  const at = place(answer, column);
  const rows = answer.rows.filter((row) => (number(row, at) ?? 0) > 0);
  return { ...answer, rows: rows.sort((a, b) => (number(b, at) ?? 0) - (number(a, at) ?? 0)) };
}

interface ByProps extends Shown {
  id: string;
  title: string;
  tabs: Readonly<Record<string, string>>;
  none: string;
  definition: string;
}

/** Visitors by the field of the open tab, of where their sessions began. */
function By({ id, title, tabs, none, definition, range, where, chosen }: ByProps) {
  const field = useTab(id, tabs);
  const several = Object.keys(tabs).length > 1;
  const visits = useQuestion("visits", { where, by: [field], limit: 200 }, range);
  return (
    <Card id={id} tall={id === "sources" ? 200 : 110} title={title} data={visits} zone={range.zone} hint={<p>Nobody came in this range.</p>} definition={definition}
      tools={several && <Tabs name={id} label={`Which ${title.toLowerCase()}`} tabs={tabs} />}>
      {(answer) => answer.columns.some((column) => column.name === field) && (
        <Bars answer={answer} name={field} value="visitors" more={["bounce_share"]} titles={TITLES} chosen={chosen[field] ?? ""} none={none}
          onChoose={(value) => narrow(field, value)} label={`Visitors by ${visible(tabs[field] ?? field)}`} />
      )}
    </Card>
  );
}

export const Sources = (shown: Shown) => (
  <By {...shown} id="sources" title="Sources" none="Direct, or not told"
    tabs={{ referrer_host: "Referrer", utm_source: "Source", utm_medium: "Medium", utm_campaign: "Campaign" }}
    definition="Where visitors came from: the site before, as the browser told it, or what the address said of a campaign; of the first view of each session that tells it." />
);

export const Devices = (shown: Shown) => (
  <By {...shown} id="devices" title="Devices" none="Not told" tabs={{ device: "Device", browser: "Browser", os: "System" }}
    definition="What visitors came with, as their browser's user agent tells it." />
);

export const Countries = (shown: Shown) => (
  <By {...shown} id="countries" title="Countries" none="Not known" tabs={{ country: "Country" }}
    definition="The country of the visitor's network address, where the server has a file that tells it (LAKEWARD_GEOIP)." />
);
