/**
 * Ids: UUIDv8 of a moment, so that a retry meets itself and rows sort by time. The third group says
 * that a page made it: the server takes no other id from one as it is.
 */

/** A new id of the millisecond `ms`, as `0198a959-c225-8fff-8d56-238c645cadb6`. */
export const idOf = (ms: number): string =>
  crypto
    .getRandomValues(new Uint8Array(10))
    .reduce(
      (text, byte) => text + (byte + 256).toString(16).slice(1),
      ms.toString(16).padStart(12, "0"),
    )
    .replace(/^(.{8})(.{4}).{5}(...)/, "$1-$2-8fff-8$3-");

/** The trace that begins with the record of this id: the same digits. */
export const traceOf = (id: string): string => id.replace(/-/g, "");
