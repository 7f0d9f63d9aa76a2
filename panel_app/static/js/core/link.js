// @ts-check
// The connection to the server: requests over the session's WebSocket, or over HTTP until it is connected; and reconnecting when it is
// lost.

const TIMEOUT = 8000;
const RETRY = 2000;
const ATTACH = 20_000;

/** Requests that can also be sent over HTTP, and their addresses; all others wait for the WebSocket. @type {Map<string, (more: Answer) => string>} */
const ADDRESSES = new Map([
  ["view", ({ query }) => `view?${query}`],
  ["stock", ({ query }) => `stock?${query}`],
  ["explore", ({ query }) => `table?${query}`],
  ["names", ({ dimension, search }) => `names?${new URLSearchParams({ dimension, search })}`],
  ["download", ({ what, format, query }) => what && `sheet?${query}&${new URLSearchParams({ what, format })}`],
]);

/**
 * @typedef {object} Link
 * @property {(kind: string, more?: Answer) => Promise<any>} ask
 * @property {() => boolean} lost whether the server does not answer at the moment
 * @property {() => boolean} attached whether the session's WebSocket is connected
 */

/**
 * Until the WebSocket is connected, or if it never is, requests go over HTTP: the page has its figures before.
 * @param {{changed: () => void, ready: () => void, lost: () => void, refused: () => void}} on what to do when the data was replaced
 *   or the server answers again, the WebSocket is connected, the server does not answer, or the WebSocket was never connected
 * @returns {Link}
 */
export function connect(on) {
  const open = new Map();
  const waiting = new Set();
  /** @type {any} */
  let model = null;
  let number = 0;
  let lost = false;
  /** Whether the last HTTP request got no answer. */
  let away = false;
  let again = 0;
  /** Whether requests can go over HTTP: under `panel serve` only with `--plugins panel_app.routes`. */
  let served = true;

  function receive(text) {
    const message = JSON.parse(text);
    if (message.changed) return on.changed();
    // Logged out in another tab: the server redirects to the login.
    if (message.ended) return location.reload();
    const question = open.get(message.id);
    open.delete(message.id);
    if (!question) return undefined;
    clearTimeout(question.timer);
    return message.error ? question.reject(new Error("the server could not answer")) : question.resolve(message);
  }

  function attach() {
    if (model || !window.adtallyModel) return;
    model = window.adtallyModel;
    model.on("msg:custom", receive);
    const found = model.model?.document ?? window.Bokeh?.documents?.[0];
    found?.on_event("connection_lost", lose);
    away = false;
    for (const go of waiting) go();
    waiting.clear();
    on.ready();
  }

  function lose() {
    if (lost) return;
    lost = true;
    for (const question of open.values()) {
      clearTimeout(question.timer);
      question.reject(new Error("the connection is lost"));
    }
    open.clear();
    on.lost();
    setTimeout(knock, model ? RETRY : ATTACH);
  }

  // A session ends with its WebSocket. When the server is back, the page reloads at the view in the URL.
  async function knock() {
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
      if (answer.ok) return location.reload();
    } catch {
      // Not there yet.
    }
    setTimeout(knock, document.hidden ? RETRY * 5 : RETRY);
    return undefined;
  }

  function send(kind, more) {
    const id = (number += 1);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        open.delete(id);
        reject(new Error("no answer"));
        lose();
      }, TIMEOUT);
      open.set(id, { resolve, reject, timer });
      model.send_msg({ kind, id, ...more });
    });
  }

  /** Send a request over HTTP; null if it has no address. */
  async function get(address) {
    let answer;
    try {
      answer = await fetch(`./api/${address}`, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
    } catch (error) {
      miss();
      throw error;
    }
    if (answer.status === 404) {
      served = false;
      return null;
    }
    // The login has ended: go to the login form.
    if (answer.status === 401 || answer.status === 403) location.reload();
    if (answer.status >= 500) miss();
    if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
    away = false;
    return answer.json();
  }

  function miss() {
    if (model) return;
    away = true;
    on.lost();
    again ||= setTimeout(() => {
      again = 0;
      if (!model && !lost) on.changed();
    }, RETRY);
  }

  /** Send a request once the WebSocket is connected. */
  function later(kind, more) {
    return new Promise((resolve, reject) => {
      const go = () => {
        clearTimeout(timer);
        resolve(send(kind, more));
      };
      const timer = setTimeout(() => {
        waiting.delete(go);
        reject(new Error("there is no connection"));
      }, ATTACH);
      waiting.add(go);
    });
  }

  async function ask(kind, more = {}) {
    if (model && !lost) return send(kind, more);
    const address = served && ADDRESSES.get(kind)?.(more);
    const answer = address ? await get(address) : null;
    if (answer) return answer;
    if (lost) throw new Error("there is no connection");
    return model ? send(kind, more) : later(kind, more);
  }

  document.addEventListener("adtally:model", attach);
  attach();
  // The server answers pages but no WebSocket: requests without an HTTP address are answered by reloading the page from time to time.
  setTimeout(() => {
    if (model || lost) return;
    on.refused();
    if (!served) lose();
  }, ATTACH);
  return { ask, lost: () => lost || away, attached: () => model !== null };
}
