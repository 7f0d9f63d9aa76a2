// @ts-check
// Clear what the dashboard holds, for all viewers, and undo it; the same on every page that offers it.

import { confirm, dismiss, toast } from "adtally/dialog.js";
import { many } from "adtally/format.js";
import { embedded } from "adtally/url.js";

/**
 * @param {{ask: (kind: string) => Promise<any>}} link
 * @param {{rows: () => number, done: () => void}} page how many rows are held, and what to do once they were cleared or brought back
 */
export function makeClear(link, page) {
  let offered = 0;

  async function send(kind) {
    try {
      await link.ask(kind);
      offered = 0;
      page.done();
    } catch {
      toast("failed", "No connection at the moment; nothing was changed.");
    }
  }

  /** Offer to undo a clear by any viewer. @param {Answer} live as the server sent it */
  function offerUndo(live) {
    if (embedded()) return;
    if (!live.undo_rows) {
      if (offered) dismiss("undo");
      offered = 0;
      return;
    }
    if (offered) return;
    offered = live.undo_rows;
    toast("undo", `Cleared ${many(live.undo_rows, "minute row")}.`, {
      action: "Undo",
      press: () => send("undo"),
      seconds: live.undo_seconds,
    });
  }

  async function clear() {
    const yes = await confirm({
      title: "Clear the data on screen?",
      text: [
        `${many(page.rows(), "minute row")} held by the dashboard will be dropped, for everyone looking at it.`,
        "The results topic is not touched; new minutes keep arriving. You can undo it for a minute.",
      ],
      yes: "Clear data",
      no: "Keep data",
    });
    if (yes) send("clear");
  }
  return { clear, offerUndo };
}
