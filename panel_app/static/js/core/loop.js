// @ts-check
// When a page asks for new figures: as often as its URL says, immediately when it changes, and never while it is hidden.

import { interval, paused } from "adtally/header.js";
import { query } from "adtally/url.js";

/**
 * @param {object} page
 * @param {() => Promise<any>} page.ask the question for what the URL shows now
 * @param {(answer: any, current: boolean) => void} page.take handles the answer; `current` is whether the URL is still the one of the request
 * @param {(now: {lost: boolean, since: number, left: number | null}) => void} page.tick called each second
 * @param {() => boolean} page.lost whether the connection is lost
 */
export function makeLoop(page) {
  let answered = performance.now();
  let due = performance.now() + interval() * 1000;
  let asking = false;
  let again = false;
  const main = /** @type {HTMLElement} */ (document.getElementById("main"));

  function tick() {
    const now = performance.now();
    const running = interval() > 0 && !paused();
    page.tick({ lost: page.lost(), since: (now - answered) / 1000, left: running ? (due - now) / 1000 : null });
    if (running && now >= due && document.visibilityState === "visible" && !page.lost()) refresh();
  }

  /** The next one is due a whole interval from now. */
  function later() {
    due = performance.now() + (interval() || 10) * 1000;
    tick();
  }

  /** Ask for the view in the URL. A request that comes during another one is sent after its answer. */
  async function refresh() {
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    const asked = query();
    main.classList.add("asking");
    try {
      const answer = await page.ask();
      answered = performance.now();
      page.take(answer, asked === query());
    } catch {
      // The pill shows it, and the link reconnects by itself.
    } finally {
      asking = false;
      main.classList.remove("asking");
      later();
    }
    if (again || asked !== query()) {
      again = false;
      refresh();
    }
  }

  document.addEventListener("visibilitychange", tick);
  setInterval(tick, 1000);
  return { refresh, later, tick };
}
