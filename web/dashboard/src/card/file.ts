// Files that the reader takes home: CSV of an answer, and a picture of a chart.

import type { Cells, Column, Value } from "../ask/answer";

/** Hand a file to the reader. */
export function save(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name.replace(/[^\w.-]+/g, "-").toLowerCase();
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** RFC 4180, with a first line of names. A text that a spreadsheet would take for a formula gets a quote before it. */
export function csv(columns: readonly Pick<Column, "name">[], rows: readonly Cells[]): string {
  const lines = [columns.map((column) => cell(column.name)), ...rows.map((row) => columns.map((_, n) => cell(row[n])))];
  return lines.map((line) => `${line.map(quoted).join(",")}\r\n`).join("");
}

/** As the server's files have it (`lake/written.py`). */
const FORMULA = /^ *[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/;

function cell(value: Value | undefined): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return FORMULA.test(text) ? `'${text}` : text;
}

function quoted(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const MARGIN = 16;
const HEAD = 34;

/** A picture of what `element` draws: its canvases and SVGs, below the title; null where it draws none. */
export async function picture(element: HTMLElement, title: string): Promise<Blob | null> {
  const drawn = [...element.querySelectorAll<HTMLCanvasElement | SVGSVGElement>("canvas, svg.drawing")];
  if (!drawn.length) return null;
  const frame = element.getBoundingClientRect();
  const scale = Math.max(2, devicePixelRatio);
  const canvas = document.createElement("canvas");
  canvas.width = (frame.width + 2 * MARGIN) * scale;
  canvas.height = (frame.height + HEAD + MARGIN) * scale;
  const context = canvas.getContext("2d");
  if (!context) return null;
  const style = getComputedStyle(element);
  context.scale(scale, scale);
  context.fillStyle = style.getPropertyValue("--surface") || "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = style.color;
  context.font = `600 14px ${style.fontFamily}`;
  context.fillText(title, MARGIN, 23);
  for (const each of drawn) {
    const at = each.getBoundingClientRect();
    const image = each instanceof HTMLCanvasElement ? each : await rastered(each, at);
    context.drawImage(image, at.left - frame.left + MARGIN, at.top - frame.top + HEAD, at.width, at.height);
  }
  words(context, element, frame);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

/** Names of the legend, which are text of the page and on no canvas. */
function words(context: CanvasRenderingContext2D, element: HTMLElement, frame: DOMRect): void {
  for (const item of element.querySelectorAll<HTMLElement>(".legend li")) {
    const at = item.getBoundingClientRect();
    const left = at.left - frame.left + MARGIN;
    const middle = at.top - frame.top + HEAD + at.height / 2;
    const swatch = item.querySelector<HTMLElement>(".swatch");
    if (swatch) {
      context.fillStyle = getComputedStyle(swatch).backgroundColor;
      context.fillRect(left, middle - 4, 9, 9);
    }
    context.fillStyle = getComputedStyle(item).color;
    context.font = `12px ${getComputedStyle(item).fontFamily}`;
    context.fillText(item.textContent ?? "", left + 14, middle + 4);
  }
}

const PAINTED = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-family", "font-weight", "text-anchor"];

/** An SVG as an image: what styles say is written into it, as it leaves the page without them. */
async function rastered(svg: SVGSVGElement, at: DOMRect): Promise<HTMLImageElement> {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", String(at.width));
  copy.setAttribute("height", String(at.height));
  const originals = [svg, ...svg.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((each, n) => {
    const original = originals[n];
    if (!original) return;
    const style = getComputedStyle(original);
    for (const name of PAINTED) each.setAttribute(name, style.getPropertyValue(name));
    each.removeAttribute("class");
    each.removeAttribute("style");
  });
  const image = new Image();
  const source = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
  image.src = source;
  await image.decode();
  URL.revokeObjectURL(source);
  return image;
}
