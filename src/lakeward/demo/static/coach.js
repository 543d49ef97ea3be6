// Shows the coach's answer as it comes, and asks whether it helped.
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
const askWhetherItHelped = (turn) => {
  const rating = document.createElement("form");
  rating.method = "post";
  rating.action = "/coach/ratings";
  rating.className = "rating";
  rating.dataset.stream = "";
  const id = document.createElement("input");
  Object.assign(id, { type: "hidden", name: "turn" });
  id.setAttribute("value", turn);
  rating.append(id, "Did this help? ");
  for (const [value, text] of [["yes", "Yes"], ["no", "No"]]) {
    const button = document.createElement("button");
    Object.assign(button, { name: "helpful", value, textContent: text });
    button.setAttribute("aria-pressed", "false");
    rating.append(button, " ");
  }
  rating.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = new URLSearchParams(new FormData(rating, event.submitter));
    const answer = await fetch("/coach/ratings", { method: "POST", body }).catch(() => undefined);
    if (!answer?.ok) return;
    for (const button of rating.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button === event.submitter));
    }
  });
  log.append(rating);
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
      for (const one of events) {
        const told = JSON.parse(one.slice(6));
        line.textContent += told.text ?? "";
        if (told.turn) askWhetherItHelped(told.turn);
      }
    }
  } catch {
    line.textContent += " The coach cannot answer now. Please try again in a minute.";
  } finally {
    button.disabled = false;
    form.elements.text.focus();
  }
});
