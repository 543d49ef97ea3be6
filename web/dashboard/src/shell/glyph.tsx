// A small drawing for each page, of strokes in the colour of the text.

import type { PageName } from "./pages";

const STROKES: Readonly<Record<PageName, string>> = {
  overview: "M2 9l6-6 6 6M4 8v6h8V8",
  live: "M2 8h3l2-5 3 10 2-5h2",
  visitors: "M8 8a3 3 0 100-6 3 3 0 000 6zM2.5 14c.6-3 2.7-4 5.500-4s4.900 1 5.500 4",
  funnels: "M2 3h12l-4.500 5.500V14l-3-2V8.500z",
  retention: "M13.500 6A6 6 0 103 11.500M13.500 2v4h-4",
  paths: "M2 3c6 0 6 5 12 5M2 13c6 0 6-5 12-5M2 8h12",
  experiments: "M6 2v4L2.500 13c-.3.700.1 1 .8 1h9.400c.7 0 1.100-.3.8-1L10 6V2M5 2h6",
  partners: "M2 9l3-3 3 2 3-2 3 3M5 6l3-3 3 3M4 10l3 3 1-1 1 1 3-3",
  ai: "M8 2l1.500 4.500L14 8l-4.500 1.500L8 14l-1.500-4.500L2 8l4.500-1.500z",
  api: "M5 4L1.500 8 5 12M11 4l3.500 4-3.500 4M9 3L7 13",
  anomalies: "M8 2.500L14.500 14h-13zM8 7v3M8 12v.1",
  data: "M2.500 4c0-2.500 11-2.500 11 0v8c0 2.500-11 2.500-11 0zM2.500 4c0 2.500 11 2.500 11 0M2.500 8c0 2.500 11 2.500 11 0",
  explore: "M7 11.500a4.500 4.500 0 100-9 4.500 4.500 0 000 9zM10.500 10.500L14 14",
  settings: "M2 4h7M12 4h2M2 8h2M7 8h7M2 12h6M11 12h3M9 2.500v3M4.500 6.500v3M8.500 10.500v3",
};

export function Glyph({ name }: { name: PageName }) {
  return <svg class="glyph line" viewBox="0 0 16 16" aria-hidden="true"><path d={STROKES[name]} /></svg>;
}
