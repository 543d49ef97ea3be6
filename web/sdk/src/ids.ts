/** Ids: UUIDv7 of a moment, so that a retry meets itself and rows sort by time. */

/** A new id of the millisecond `ms`, as `0198a959-c225-7f8b-8d56-238c645cadb6`. */
export const idOf = (ms: number): string =>
  crypto
    .getRandomValues(new Uint8Array(10))
    .reduce(
      (text, byte) => text + (byte + 256).toString(16).slice(1),
      ms.toString(16).padStart(12, "0"),
    )
    .replace(/^(.{8})(.{4}).(...).(...)/, "$1-$2-7$3-8$4-");

/** The trace that begins with the record of this id: the same digits. */
export const traceOf = (id: string): string => id.replace(/-/g, "");
