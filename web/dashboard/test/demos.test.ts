import { describe, expect, it } from "vitest";
import { type Demo, barOf, captionsOf, isMoving, kindOf, lacking, lengthOf, madeBy, placeOf, ratingOf, sentence, time } from "../src/partners/demos";

const DEMO: Demo = { demo_id: "d", partner_id: "p", state: "completed", title: "T", file_name: "f", size_bytes: 2000 };
const FILM = { kind: "video", media_type: "video/mp4", duration_seconds: 65.9 } as const;

describe("demos in words", () => {
  it("says how long or how many pages, and nothing where nobody knows", () => {
    expect(lengthOf({ ...DEMO, probe: FILM })).toBe("1:06");
    expect(lengthOf({ ...DEMO, probe: { kind: "slides", media_type: "x", pages: 1 } })).toBe("1 page");
    expect(lengthOf(DEMO)).toBeNull();
    expect(kindOf(DEMO)).toBeNull();
    expect(time(3661)).toBe("1:01:01");
  });

  it("has a bar for what is on its way, and none for what is over", () => {
    expect(barOf({ ...DEMO, state: "uploading", received: 500 })).toEqual({ share: 0.25, text: "500 B of 2.0 KB, 25%" });
    expect(barOf({ ...DEMO, state: "processing", progress: { step: "probe", percent: 40, message: "listening" } })).toEqual({ share: 0.4, text: "40%, listening" });
    expect(barOf(DEMO)).toBeNull();
    expect(isMoving({ state: "awaiting_transcript", progress: { step: "transcript", percent: 0, message: "waiting" } })).toBe(true);
    expect(isMoving({ state: "completed", progress: { step: "done", percent: 100, message: "" } })).toBe(false);
    for (const state of ["awaiting_transcript", "completed", "refused", "failed"] as const) expect(isMoving({ state })).toBe(false);
  });

  it("says who made a transcript, and does not pretend to know", () => {
    const by = (source: string, given: boolean, subtitles = false) => madeBy({ ...DEMO, probe: { ...FILM, subtitles } }, { source, given, language: null, segments: [] });
    expect(by("whisper", false)).toContain("a model");
    expect(by("transcribe", false)).toContain("Amazon");
    expect(by("webvtt", true)).toBe("as it was given");
    expect(by("srt", false, true)).toBe("the captions in the file");
    expect(by("srt", true, true)).toBe("as it was given, or the captions in the file");
  });

  it("says why there are no words", () => {
    expect(lacking({ ...DEMO, state: "awaiting_transcript" })).toContain("Awaiting transcript");
    expect(lacking({ ...DEMO, state: "processing" })).toBe("Not known yet.");
    expect(lacking({ ...DEMO, state: "refused" })).toBe("None: the demo was refused.");
  });

  it("says where a piece of a transcript is", () => {
    expect(placeOf({ text: "", start: 0, end: 61.5 })).toBe("0:00–1:01");
    expect(placeOf({ text: "", page: 3 })).toBe("page 3");
    expect(placeOf({ text: "" })).toBeNull();
  });

  it("makes sentences of reasons, and lets nothing of them steer the page", () => {
    expect(sentence("it is cut short")).toBe("It is cut short.");
    expect(sentence("why\u202e?")).toBe("Why\\u202e?");
  });

  it("rates in the order of the form, without what nobody rated", () => {
    expect(ratingOf({ proof: 6.26, clarity: 8 })).toBe("clarity 8, proof 6.3");
  });

  it("sends captions as what their names say", () => {
    expect(captionsOf("A.SRT")).toBe("application/x-subrip");
    expect(captionsOf("a.vtt")).toBe("text/vtt");
  });
});
