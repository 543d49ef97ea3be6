import { describe, expect, it } from "vitest";
import { Refused } from "../src/ask/client";
import { PIECE, type Sent, Sender, type Wire, isPassing, pauseMs } from "../src/partners/tus";

const SIZE = 2 * PIECE + 10;
const now = async () => undefined;

/** A server that keeps what it is sent; `fails` is thrown before each piece that it names. */
function server(fails: Record<number, Refused | Refused[]> = {}, keeps = 0) {
  const kept: Blob[] = [];
  const asked: string[] = [];
  let safe = 0;
  let pieces = 0;
  const wire: Wire = {
    begin: async () => { asked.push("begin"); return "u1"; },
    offset: async () => { asked.push(`offset ${safe}`); return safe; },
    piece: async (_id, offset, content, sent) => {
      asked.push(`piece ${offset} ${content.size}`);
      expect(offset).toBe(safe);
      sent(content.size / 2);
      const refused = fails[pieces++];
      if (refused instanceof Refused) {
        if (keeps) kept.push(content.slice(0, keeps));
        safe += keeps;
        throw refused;
      }
      kept.push(content);
      return (safe += content.size);
    },
    end: async (id) => { asked.push(`end ${id}`); },
  };
  return { wire, asked, kept: async () => new Uint8Array(await new Blob(kept).arrayBuffer()) };
}

function file(size = SIZE): Blob {
  return new Blob([Uint8Array.from({ length: size }, (_, n) => n % 251)]);
}

async function bytesOf(content: Blob): Promise<Uint8Array> {
  return new Uint8Array(await content.arrayBuffer());
}

const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, n) => byte === b[n]);

describe("a file is sent", () => {
  it("in pieces, each from where the one before ended", async () => {
    const { wire, asked, kept } = server();
    const states: Sent[] = [];
    const sender = new Sender(file(), wire, (state) => states.push(state), "", now);
    await sender.go();
    expect(asked).toEqual(["begin", `piece 0 ${PIECE}`, `piece ${PIECE} ${PIECE}`, `piece ${2 * PIECE} 10`]);
    expect(same(await kept(), await bytesOf(file()))).toBe(true);
    expect(sender.state).toEqual({ id: "u1", phase: "done", bytes: SIZE, said: "" });
    const seen = states.map((state) => state.bytes);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(new Set(seen).size).toBeGreaterThan(4);
  });

  it("from the byte that the server has, after an interruption", async () => {
    const { wire, asked, kept } = server({ 1: new Refused(0, "away", "Gone.") }, 1000);
    const phases: string[] = [];
    await new Sender(file(), wire, ({ phase, said }) => phases.push(phase + said), "", now).go();
    expect(asked).toContain(`offset ${PIECE + 1000}`);
    expect(asked).toContain(`piece ${PIECE + 1000} ${PIECE - 990}`);
    expect(same(await kept(), await bytesOf(file()))).toBe(true);
    expect(phases).toContain("waitingGone.");
  });

  it("on from an upload of before, which is asked for its offset and not begun anew", async () => {
    const { wire, asked } = server();
    await new Sender(file(5), wire, () => undefined, "old", now).go();
    expect(asked).toEqual(["offset 0", "piece 0 5"]);
  });

  it("at once when it is empty", async () => {
    const { wire, asked } = server();
    const sender = new Sender(file(0), wire, () => undefined, "", now);
    await sender.go();
    expect(asked).toEqual(["begin"]);
    expect(sender.state.phase).toBe("done");
  });
});

describe("a file is not sent", () => {
  it("when the server refuses it, and its sentence is told", async () => {
    const { wire, asked } = server({ 0: new Refused(413, "too_large", "A demo has at most 5 bytes.") });
    const sender = new Sender(file(9), wire, () => undefined, "", now);
    await sender.go();
    expect(asked).toHaveLength(2);
    expect(sender.state).toMatchObject({ phase: "refused", said: "A demo has at most 5 bytes." });
  });

  it("while it is paused, and goes on from there", async () => {
    const { wire, asked, kept } = server();
    const paused = { ...wire, piece: ((...args) => {
      if (asked.length === 1) queueMicrotask(() => sender.pause());
      return wire.piece(...args);
    }) as Wire["piece"] };
    const sender: Sender = new Sender(file(), paused, () => undefined, "", now);
    await sender.go();
    expect(sender.state.phase).toBe("paused");
    expect(asked).toEqual(["begin", `piece 0 ${PIECE}`]);
    await sender.go();
    expect(asked[2]).toBe(`offset ${PIECE}`);
    expect(sender.state.phase).toBe("done");
    expect(same(await kept(), await bytesOf(file()))).toBe(true);
  });

  it("any more once it is taken back, also when it was only being begun", async () => {
    const { wire, asked } = server();
    let begin: (id: string) => void = () => undefined;
    const slow = { ...wire, begin: () => new Promise<string>((done) => (begin = done)) };
    const sender = new Sender(file(), slow, () => undefined, "", now);
    const going = sender.go();
    const over = sender.cancel();
    begin("u9");
    await Promise.all([going, over]);
    expect(asked).toEqual(["end u9"]);
    expect(sender.state.phase).toBe("cancelled");
    await sender.go();
    expect(asked).toEqual(["end u9"]);
  });

  it("and is taken back once the server has heard that the piece was broken off", async () => {
    const { wire, asked } = server();
    let busy = 2;
    const late = { ...wire, end: async (id: string) => {
      if (busy-- > 0) throw new Refused(423, "in_use", "Somebody else sends it.");
      return wire.end(id);
    } };
    const sender = new Sender(file(5), late, () => undefined, "u1", now);
    await sender.cancel();
    expect(asked).toEqual(["end u1"]);
    expect(sender.state.phase).toBe("cancelled");
  });

  it("for ever when it can no longer be read", async () => {
    const { wire } = server({ 0: new Refused(0, "away", "Gone.") });
    const gone = { size: 10, slice: () => ({ size: 10, arrayBuffer: () => Promise.reject(new Error("NotReadableError")) }) } as unknown as Blob;
    const sender = new Sender(gone, wire, () => undefined, "", now);
    await sender.go();
    expect(sender.state.phase).toBe("refused");
    expect(sender.state.said).toContain("can no longer be read");
  });
});

describe("what is tried again", () => {
  it("is what may pass, and nothing that the server means", () => {
    for (const [status, code] of [[0, "away"], [409, "wrong_offset"], [423, "in_use"], [429, ""], [460, ""], [503, "busy"]] as const) {
      expect(isPassing(new Refused(status, code, "")), `${status}`).toBe(true);
    }
    for (const [status, code] of [[400, ""], [401, ""], [403, ""], [404, ""], [409, "elsewhere"], [410, ""], [413, "over_quota"], [422, ""], [507, ""]] as const) {
      expect(isPassing(new Refused(status, code, "")), `${status}`).toBe(false);
    }
  });

  it("is tried later each time, and not before the server says", () => {
    expect([0, 1, 2, 9].map((n) => pauseMs(n))).toEqual([1000, 2000, 4000, 30_000]);
    expect(pauseMs(0, 5)).toBe(5000);
  });
});
