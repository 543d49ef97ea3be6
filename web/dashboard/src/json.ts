// JSON laid out as text: nothing is read and written anew, so every number stays as it was stored.

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** One name or item a line; what is no JSON comes back as it is. */
export function laidOut(text: string): string {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  const tokens = text.match(TOKEN) ?? [];
  let said = "";
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  tokens.forEach((token, n) => {
    const opens = token === "{" || token === "[";
    const closes = token === "}" || token === "]";
    const empty = (opens && /^[}\]]$/.test(tokens[n + 1] ?? "")) || (closes && /^[{[]$/.test(tokens[n - 1] ?? ""));
    if (closes) {
      depth -= 1;
      said += empty ? token : line() + token;
    } else if (opens) {
      depth += 1;
      said += empty ? token : token + line();
    } else said += token === "," ? `,${line()}` : token === ":" ? ": " : token;
  });
  return said;
}
