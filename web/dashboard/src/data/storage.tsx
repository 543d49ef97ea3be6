// What the lake takes of its disk, by zone and by day.

import { useData } from "../ask/question";
import { Card } from "../card/card";
import { Bars } from "../chart/bars";
import { linesOf } from "../chart/lines";
import { Series } from "../chart/series";
import { visible } from "../text";
import { bytes } from "../unit";
import { type Storage, answerOf } from "./state";

const DEFINITION = "Bytes of the files as they stand, looked at once a minute. The log is what came; the table is the same, sorted and compressed, with files of earlier versions until they are deleted; private are the lake's own books.";

export function Disk() {
  const data = useData<Storage>("data", "/storage");
  return (
    <>
      <Card id="zones" tall={199} title="Storage" data={data} table={data.value?.zones ?? null} empty={false} definition={DEFINITION}
        note={data.value && `${bytes(data.value.bytes)} of the lake, ${bytes(data.value.free)} free of ${bytes(data.value.total)}`}>
        {(storage) => (
          <>
            <Bars answer={answerOf(storage.zones)} name="zone" value="bytes" more={["files"]} label="Bytes by zone" />
            {storage.zones.rows.filter((row) => row[4]).map((row) => <p key={String(row[0])} class="note bad">{String(row[0])}: <bdi>{visible(String(row[4]))}</bdi></p>)}
            {storage.zones.rows.some((row) => row[3] === true) && <p class="muted small">There are more files than were looked at: these figures are a least.</p>}
          </>
        )}
      </Card>
      <Card id="storage" tall={[193, 215]} title="Storage by day" data={data} table={data.value?.days ?? null} empty={false} note="the last 60 days" definition={DEFINITION}>
        {(storage) => (
          <Series data={linesOf(answerOf(storage.days), { x: "day", values: ["log", "individual", "quarantine", "table"], labels: { individual: "individual files" } })}
            zone="UTC" kind="stack" height={170} label="Bytes by day" />
        )}
      </Card>
    </>
  );
}
