// Sends forms with fetch, so that what a form does joins the click in one trace. Without this script
// the forms work as forms do.
"use strict";
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.dataset.stream !== undefined || event.defaultPrevented) return;
  event.preventDefault();
  const button = event.submitter;
  const body = new URLSearchParams(new FormData(form, button));
  if (button) button.disabled = true;
  try {
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body, headers: { "x-form": "script" } });
    if (answer.headers.get("content-type")?.includes("json")) {
      location.assign((await answer.json()).next);
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("main").replaceWith(page.querySelector("main"));
    document.querySelector("[role=alert]")?.focus();
  } catch {
    // What was sent may have been done: it is not sent a second time.
    const said = document.createElement("p");
    said.setAttribute("role", "alert");
    said.textContent = "The connection broke. Load the page again to see whether it was done.";
    form.before(said);
  } finally {
    if (button) button.disabled = false;
  }
});
const user = document.querySelector("meta[name=user]");
addEventListener("DOMContentLoaded", () => {
  const told = user && sessionStorage.getItem("identified");
  if (user?.content && told !== user.content && window.lakeward) {
    window.lakeward.identify(user.content, {}, user.dataset.type);
    sessionStorage.setItem("identified", user.content);
  }
});
