// The connection to the server: questions and answers over the session's websocket, and getting it back when it is lost.

const TIMEOUT = 8000;
const RETRY = 2000;
const ATTACH = 20_000;

/**
 * @typedef {object} Link
 * @property {(kind: string, more?: object) => Promise<any>} ask
 * @property {() => boolean} lost
 */

/**
 * @param {{changed: () => void, ready: () => void, lost: () => void, refused: () => void}} on what to do when the data changed at a
 *   stroke, the connection is there, it is lost, or it never came
 * @returns {Link}
 */
export function connect(on) {
  const open = new Map();
  let model = null;
  let number = 0;
  let lost = false;

  function receive(text) {
    const message = JSON.parse(text);
    if (message.changed) return on.changed();
    // Logged out, in another tab: the server leads to the login.
    if (message.ended) return location.reload();
    const waiting = open.get(message.id);
    open.delete(message.id);
    if (!waiting) return undefined;
    clearTimeout(waiting.timer);
    return message.error ? waiting.reject(new Error("the server could not answer")) : waiting.resolve(message);
  }

  function attach() {
    if (model || !window.adtallyModel) return;
    model = window.adtallyModel;
    model.on("msg:custom", receive);
    const found = model.model?.document ?? window.Bokeh?.documents?.[0];
    found?.on_event("connection_lost", lose);
    on.ready();
  }

  function lose() {
    if (lost) return;
    lost = true;
    for (const waiting of open.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(new Error("the connection is lost"));
    }
    open.clear();
    on.lost();
    setTimeout(knock, model ? RETRY : ATTACH);
  }

  // The session is gone for good with its websocket. Once the server is back the page loads anew, at the view in the URL.
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

  function ask(kind, more = {}) {
    if (lost || !model) return Promise.reject(new Error("there is no connection"));
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

  document.addEventListener("adtally:model", attach);
  attach();
  // A server that answers pages but no websocket: loading anew now and then is what is left, and the figures come with the page.
  setTimeout(() => {
    if (model || lost) return;
    on.refused();
    lose();
  }, ATTACH);
  return { ask, lost: () => lost };
}
