
"use strict";
// Fetches the page again and again, and shows what has changed. Nothing is made here that the server has not made.
(() => {
  const INTERVAL = 5000;
  let failing = false;

  const say = (words, kind) => {
    const live = document.getElementById("live");
    live.className = kind;
    live.textContent = words;
    document.body.classList.toggle("off", kind === "off");
  };

  // What the reader has opened, chosen or scrolled stays so.
  const keep = (next) => {
    for (const open of document.querySelectorAll("details[open]")) {
      next.getElementById(open.id)?.setAttribute("open", "");
    }
    const before = [...document.querySelectorAll(".scroll")].map((part) => part.scrollLeft);
    const focus = document.activeElement;
    const focusable = "a, summary, .scroll";
    const place = [...document.querySelectorAll(focusable)].indexOf(focus);
    return () => {
      document.querySelectorAll(".scroll").forEach((part, at) => { part.scrollLeft = before[at] ?? 0; });
      document.querySelectorAll(focusable)[place]?.focus({ preventScroll: true });
    };
  };

  const update = async () => {
    const selection = getSelection();
    if (document.visibilityState !== "visible" || (selection && !selection.isCollapsed)) return;
    try {
      const response = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(INTERVAL) });
      if (!response.ok) throw new Error(response.status);
      const next = new DOMParser().parseFromString(await response.text(), "text/html");
      const restore = keep(next);
      document.title = next.title;
      document.querySelector("header").replaceWith(next.querySelector("header"));
      document.querySelector("main").replaceWith(next.querySelector("main"));
      restore();
      failing = false;
      say("Live: updated every 5 s.", "on");
    } catch {
      if (!failing) {
        failing = true;
        const time = document.querySelector("time").textContent;
        document.title = "No answer · poddns";
        say(`The server does not answer. This is its state of ${time}.`, "off");
      }
    }
  };

  say("Live: updated every 5 s.", "on");
  setInterval(update, INTERVAL);
  document.addEventListener("visibilitychange", update);
})();
