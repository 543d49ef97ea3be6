// Shows the coach's answer as it comes.
"use strict";
const form = document.querySelector("form[data-stream]");
const log = document.querySelector("[role=log]");
const say = (who, text) => {
  const line = document.createElement("p");
  line.className = who;
  line.textContent = text;
  log.append(line);
  return line;
};
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form));
  if (!body.get("text").trim()) return;
  say("me", body.get("text"));
  const line = say("coach", "");
  form.elements.text.value = "";
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const answer = await fetch(form.action, { method: "POST", body });
    if (!answer.ok) throw new Error(String(answer.status));
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const one of events) line.textContent += JSON.parse(one.slice(6)).text ?? "";
    }
  } catch {
    line.textContent += " The coach cannot answer now. Please try again in a minute.";
  } finally {
    button.disabled = false;
    form.elements.text.focus();
  }
});
