// A series with what was expected of it: the line, the band, the buckets that were beyond it.

import { place, number, text } from "../ask/answer";
import { type Data, useData } from "../ask/question";
import { Card } from "../card/card";
import { Series } from "../chart/series";
import { visible } from "../text";
import { figure, moment, seconds } from "../unit";
import type { Picture } from "./incident";

const DEFINITION = "What came in each bucket, beside what a detector expected of it: in the band a single bucket raises no alarm. "
  + "Nobody keeps what was expected; a detector is fed anew from where the series' own one began, so that it may differ a little where records came late. The figures that were told at the time stand in the steps. "
  + "A limit of alerts.toml is a dashed line.";

export function useIncidentPicture(id: string, series: string): Data<Picture> {
  return useData<Picture>("alerts", `/${id}/series${series ? `?series=${encodeURIComponent(series)}` : ""}`);
}

/** A watched series of late. */
export function SeriesPicture({ series, zone, onClose }: { series: string; zone: string; onClose: () => void }) {
  const picture = useData<Picture>("alerts", `/watched/series?series=${encodeURIComponent(series)}`);
  return (
    <PictureCard id="series" title={visible(series)} picture={picture} zone={zone}
      tools={<button type="button" class="button" onClick={onClose}>Close</button>} />
  );
}

export function PictureCard(props: { id: string; title: string; picture: Data<Picture>; zone: string; tools?: preact.ComponentChildren }) {
  const { picture, zone } = props;
  return (
    <Card id={props.id} tall={283} title={props.title} data={picture} zone={zone} definition={DEFINITION} tools={props.tools}
      note={picture.value && `${seconds(picture.value.seconds)} each`} empty={picture.value !== null && picture.value.rows.length === 0}
      hint={picture.value?.note ? <bdi>{visible(picture.value.note)}</bdi> : "Nothing to draw."}>
      {(found) => (
        <>
          <Drawn picture={found} zone={zone} />
          {found.learned_since && <p class="muted small">Learned since {moment(found.learned_since, zone)}.</p>}
        </>
      )}
    </Card>
  );
}

function Drawn({ picture, zone }: { picture: Picture; zone: string }) {
  const { columns, rows, unit } = picture;
  const column = (name: string) => rows.map((row) => number(row, place({ columns }, name)));
  const [value, expected, low, high] = [column("value"), column("expected"), column("low"), column("high")];
  const wrong = rows.map((row) => row[place({ columns }, "wrong")] === true);
  const x = rows.map((row) => Date.parse(text(row, place({ columns }, "at")) ?? ""));
  const banded = expected.some((each) => each !== null);
  const limits = banded ? [] : ([["Limit", high], ["Limit", low]] as const)
    .filter(([, values]) => values.some((each) => each !== null))
    .map(([label, values]) => ({ label: `${label} ${figure(unit, values.find((each) => each !== null) ?? null)}`, values }));
  const lines = [{ label: picture.series, unit, values: value }, ...(banded ? [{ label: "Expected", unit, values: expected }] : [])];
  return (
    <Series data={{ x, dates: false, lines }} zone={zone} label={`${visible(picture.series)} and what was expected`} height={240}
      {...(banded ? { band: { label: "Usual", low, high } } : {})} limits={limits}
      marks={{ label: "Beyond the line", values: value.map((each, n) => (wrong[n] ? each : null)) }} />
  );
}
