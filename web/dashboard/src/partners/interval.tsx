// An interval on a scale of 0 to 100, drawn: how far it reaches, where its value stands.

interface Props {
  value: number;
  low: number;
  high: number;
  /** What others have, as a thin line. */
  beside?: number | undefined;
}

export function Interval({ value, low, high, beside }: Props) {
  return (
    <div class="interval" aria-hidden="true">
      <span class="reach" style={{ left: `${low}%`, width: `${high - low}%` }} />
      {beside !== undefined && <span class="beside" style={{ left: `${beside}%` }} />}
      <span class="point" style={{ left: `${value}%` }} />
    </div>
  );
}
