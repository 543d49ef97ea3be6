// Time zones: which one days are meant in, and what a moment of it is.

const NAME = "lakeward.zone";

export const OWN_ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

export function zones(): string[] {
  const known = typeof Intl.supportedValuesOf === "function" ? Intl.supportedValuesOf("timeZone") : [];
  return [...new Set([OWN_ZONE, "UTC", ...known])];
}

export function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** The zone that this browser chose last. */
export function keptZone(): string {
  try {
    const kept = localStorage.getItem(NAME) ?? "";
    return kept && isZone(kept) ? kept : OWN_ZONE;
  } catch {
    return OWN_ZONE;
  }
}

export function keepZone(zone: string): void {
  try {
    localStorage.setItem(NAME, zone);
  } catch {
    // A browser without storage has it in the address alone.
  }
}

/** A calendar day, without any zone. */
export interface Day {
  year: number;
  month: number;
  day: number;
}

interface Wall extends Day {
  hour: number;
  minute: number;
  second: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string): Intl.DateTimeFormat {
  let made = formats.get(zone);
  if (!made) {
    made = new Intl.DateTimeFormat("en-u-ca-gregory-hc-h23", {
      timeZone: zone, year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric",
    });
    formats.set(zone, made);
  }
  return made;
}

/** What clocks of the zone show at a moment. */
export function wall(ms: number, zone: string): Wall {
  const found: Record<string, number> = {};
  for (const part of format(zone).formatToParts(ms)) found[part.type] = Number(part.value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = found;
  return { year, month, day, hour, minute, second };
}

/** The first moment of a day in the zone: not always midnight, where clocks are put forward then. */
export function dayStart({ year, month, day }: Day, zone: string): number {
  const meant = Date.UTC(year, month - 1, day);
  let ms = meant - offset(meant, zone);
  ms = meant - offset(ms, zone);
  // Where midnight does not exist, the guess lies in the day before: its next full quarters are tried.
  while (compareDays(wall(ms, zone), { year, month, day }) < 0) ms += 900_000;
  return ms;
}

function offset(ms: number, zone: string): number {
  const seen = wall(ms, zone);
  return Date.UTC(seen.year, seen.month - 1, seen.day, seen.hour, seen.minute, seen.second) - Math.floor(ms / 1000) * 1000;
}

export function compareDays(a: Day, b: Day): number {
  return a.year - b.year || a.month - b.month || a.day - b.day;
}

export function addDays({ year, month, day }: Day, days: number): Day {
  const then = new Date(Date.UTC(year, month - 1, day + days));
  return { year: then.getUTCFullYear(), month: then.getUTCMonth() + 1, day: then.getUTCDate() };
}

export function writeDay({ year, month, day }: Day): string {
  return `${year}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}`;
}

export function readDay(text: string): Day | null {
  const found = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (!found) return null;
  const day = { year: Number(found[1]), month: Number(found[2]), day: Number(found[3]) };
  return writeDay(addDays(day, 0)) === text ? day : null;
}
