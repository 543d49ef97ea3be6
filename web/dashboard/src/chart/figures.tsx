// Key figures in a row: what each is, how much, and how it has changed.

import { change, figure } from "../unit";
import { visible } from "../text";

export interface Figure {
  label: string;
  value: number | null;
  unit: string;
  /** Relative to what it is compared with; null or undefined for none. */
  change?: number | null | undefined;
  /** Which direction is good news; without one no colour is given. */
  better?: "up" | "down";
  /** What it means. */
  doc?: string;
  /** In tests and links. */
  name?: string;
}

export function Figures({ figures, than }: { figures: Figure[]; than?: string }) {
  return (
    <dl class="figures">
      {figures.map((each) => (
        <div key={each.label} title={each.doc}>
          <dt>{visible(each.label)}</dt>
          <dd data-figure={each.name ?? each.label} data-value={each.value ?? ""}>
            {figure(each.unit, each.value)}
            <Change {...each} than={than} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

function Change({ change: share, better, than = "before" }: Figure & { than?: string | undefined }) {
  const text = change(share);
  if (!text || share === null || share === undefined) return null;
  const steady = Math.abs(share) < 0.0005;
  const good = !better || steady ? "" : share > 0 === (better === "up") ? "good" : "bad";
  return <span class={`change ${good}`}>{text}<span class="sr"> than {than}</span></span>;
}
