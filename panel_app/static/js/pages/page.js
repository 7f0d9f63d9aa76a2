// @ts-check
// What all pages share: the data that the server put into the page, connection, theme, and the link back.

import { makeClear } from "adtally/clear.js";
import { toast } from "adtally/dialog.js";
import { setCurrency } from "adtally/format.js";
import { makeHeader, paused } from "adtally/header.js";
import { runLate } from "adtally/late.js";
import { connect } from "adtally/link.js";
import { makeLoop } from "adtally/loop.js";
import { makeNotices } from "adtally/notices.js";
import { adopt, remembering } from "adtally/taste.js";
import { applyTheme, onSystemTheme } from "adtally/theme.js";
import { carried, declareFields, embedded, go } from "adtally/url.js";

/** The element of the page's template with this id; of the type that the template gives it. @type {(id: string) => any} */
export const byId = (id) => document.getElementById(id);

/** What does not change while the page is open. */
export const setup = JSON.parse(byId("setup").textContent);

/** The answer of the server that came with the page. */
export const first = JSON.parse(byId("first").textContent);

setCurrency(setup.currency);
declareFields(setup.breakdowns.flatMap((/** @type {{fields: string[]}} */ one) => one.fields));

/**
 * The connection of this page; if it is refused, a message says how to allow it.
 * @param {{changed: () => void, ready: () => void, lost: () => void}} on as for `connect`
 */
export function linked(on) {
  const refused = () =>
    toast(
      "refused",
      `No live connection: the page polls for figures instead. To allow it under ${location.host}, start the dashboard with --allow-origin ${location.host}.`,
      { seconds: 3600 },
    );
  return connect({ ...on, refused });
}

/** Load what the connection needs, once what came with the page is drawn. */
export function loadLink() {
  runLate(byId("late")).catch(() => toast("failed", "The live connection could not be loaded; reload the page to try again."));
}

/** Address of the overview with this URL's display options; none in an embed. */
export function leadBack() {
  const brand = /** @type {HTMLAnchorElement} */ (document.querySelector(".brand"));
  if (embedded()) {
    byId("back").remove();
    brand.removeAttribute("href");
    return;
  }
  byId("back").href = carried(setup.back);
  brand.href = carried(setup.back);
}

/** Show the content in place of the grey placeholders, where it stays from then on. */
export function reveal() {
  document.documentElement.dataset.drawn = "";
}

/** The other theme, as a change of the URL. */
export const otherTheme = () => ({ theme: document.documentElement.dataset.theme === "dark" ? "light" : "dark" });

/**
 * A page that asks for new figures whenever they are due and the tab is visible: connection, header, notices, clearing, and the loop.
 * @param {object} page
 * @param {(ask: (kind: string, more?: Answer) => Promise<any>) => Promise<any>} page.ask the question for what the URL shows now
 * @param {(answer: any) => void} page.take what becomes of its answer
 * @param {() => void} page.draw draw it
 * @param {() => void} [page.follow] what can be shown of a changed URL without the server
 * @param {() => Answer | null | undefined} [page.currency] currencies of the last answer
 * @param {[string, string][]} page.pages names and addresses of the other pages
 */
export function makeLive(page) {
  let { live } = first;

  const link = linked({
    changed: () => loop.refresh(),
    ready: () => {
      document.documentElement.dataset.linked = "";
      if (document.visibilityState === "visible") loop.refresh();
    },
    lost: () => loop.tick(),
  });
  const clearing = makeClear(link, { rows: () => live.rows, done: () => loop.refresh() });
  const header = makeHeader(byId("header"), {
    refresh: () => loop.refresh(),
    pause: () => show({ paused: paused() ? "" : "1" }, false),
    theme: () => show(otherTheme(), false),
    clear: () => clearing.clear(),
    set: (changes) => show(changes, false),
    taste,
    pages: page.pages,
    logout: setup.logout,
  });
  const loop = makeLoop({
    ask: () => page.ask(link.ask),
    take: (answer, current) => {
      live = answer.live;
      page.take(answer);
      clearing.offerUndo(live);
      draw();
      if (current) comeBack();
    },
    tick: (now) => header.tick(live, { ...now, late: setup.late }),
    lost: () => link.lost(),
  });

  function draw() {
    applyTheme();
    reveal();
    header.update(page.currency?.());
    page.draw();
    byId("main").removeAttribute("aria-busy");
  }

  /** After the URL changed: first what can be shown without the server, then its answer. */
  function follow() {
    const recolored = applyTheme();
    header.update(page.currency?.());
    page.follow?.();
    if (recolored) draw();
    loop.later();
    loop.refresh();
  }

  /** Scroll position and focus to restore after going back in the browser's history, until the page shows that step. */
  let left = null;

  /** Restore scroll position and focus once the page shows that step. */
  function comeBack() {
    if (left === null) return;
    const { top, key } = left;
    left = null;
    window.scrollTo({ top, behavior: "instant" });
    if (key)
      [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-key]"))]
        .find((one) => one.getAttribute("data-key") === key)
        ?.focus({ preventScroll: true });
  }

  /** Change the URL and follow it; a `step` is one of the browser's history. @param {Changes} changes @param {boolean} [step] */
  function show(changes, step = true) {
    go(changes, step);
    follow();
  }

  /** The same with a choice that this browser remembers. @param {Changes} changes */
  function taste(changes) {
    show(remembering(changes), false);
  }

  function start() {
    const adopted = adopt(setup.taste);
    window.addEventListener("popstate", (event) => {
      left = typeof event.state?.top === "number" ? event.state : null;
      follow();
    });
    onSystemTheme(() => applyTheme() && draw());
    clearing.offerUndo(live);
    draw();
    loop.tick();
    performance.mark("adtally:drawn");
    loadLink();
    if (adopted) loop.refresh();
  }
  return {
    link,
    clear: () => clearing.clear(),
    notices: makeNotices(byId("notices"), setup),
    refresh: () => loop.refresh(),
    show,
    start,
    taste,
  };
}
