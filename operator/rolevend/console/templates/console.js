// Keeps the tables of a page up to date, and counts down. Every page works without it.
"use strict";

async function refresh() {
  const parts = document.querySelectorAll("[data-live]");
  if (document.hidden) return;
  const answer = await fetch(location.href, { redirect: "error", headers: { "X-Console-Refresh": "1" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelectorAll("[data-live]");
  document.title = page.title;
  parts.forEach((part, number) => {
    if (fresh[number] && part.innerHTML !== fresh[number].innerHTML && !part.contains(document.activeElement)) {
      part.replaceChildren(...fresh[number].childNodes);
    }
  });
}

function countDown() {
  for (const each of document.querySelectorAll("time")) {
    const left = Math.max(0, Math.round((Date.parse(each.dateTime) - Date.now()) / 1000));
    each.textContent = `${Math.floor(left / 60)}m ${left % 60}s`;
  }
}

countDown();
setInterval(countDown, 1000);
if (document.querySelector("main [data-live]")) {
  const events = new EventSource("/events");
  // Also after a lost connection: nobody told the page what changed meanwhile.
  for (const each of ["open", "message"]) events.addEventListener(each, () => refresh().catch(() => {}));
}
