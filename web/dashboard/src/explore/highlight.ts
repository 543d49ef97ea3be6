// SQL in parts, for colours: texts, comments, numbers, keywords, and the rest.

export interface Part {
  text: string;
  kind: "" | "keyword" | "text" | "number" | "comment";
}

const PARTS = /('(?:[^']|'')*'?)|(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|("(?:[^"]|"")*"?)|([A-Za-z_]\w*)|(\d[\d_]*(?:\.\d+)?)/g;

export function parts(sql: string, keywords: ReadonlySet<string>): Part[] {
  const found: Part[] = [];
  let end = 0;
  for (const match of sql.matchAll(PARTS)) {
    const [whole, text, comment, , word, number] = match;
    const kind: Part["kind"] = text ? "text" : comment ? "comment" : number ? "number" : word && keywords.has(word.toUpperCase()) ? "keyword" : "";
    if (!kind) continue;
    if (match.index > end) found.push({ text: sql.slice(end, match.index), kind: "" });
    found.push({ text: whole, kind });
    end = match.index + whole.length;
  }
  if (end < sql.length) found.push({ text: sql.slice(end), kind: "" });
  return found;
}
