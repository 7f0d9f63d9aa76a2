// Bringing the page up to date without rebuilding it: what was there before stays the same node, so that a selection, the focus, the
// pointer's hover, a scroll position and open details outlive every refresh.

import { takeListeners } from "adtally/dom.js";

/** What a node may stand for: one with the same `data-key`, or, without one, the next of the same kind. */
const identity = (node) => (node instanceof Element ? `${node.nodeName} ${node.getAttribute("data-key") ?? ""}` : node.nodeName);

const size = (node) => (node instanceof CharacterData ? node.length : node.childNodes.length);

/** What the viewer opened is not closed by a refresh. */
const VIEWERS = new Map([["DETAILS", "open"]]);

function update(node, fresh) {
  if (node instanceof CharacterData) {
    if (node.data !== fresh.data) node.data = fresh.data;
    return;
  }
  const kept = VIEWERS.get(node.nodeName);
  for (const { name } of [...node.attributes]) if (name !== kept && !fresh.hasAttribute(name)) node.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (name !== kept && node.getAttribute(name) !== value) node.setAttribute(name, value);
  if (node instanceof HTMLInputElement && node.checked !== fresh.checked) node.checked = fresh.checked;
  takeListeners(node, fresh);
  children(node, [...fresh.childNodes]);
}

function children(parent, wanted) {
  const spare = new Map();
  const own = new Set(wanted);
  for (const node of parent.childNodes) {
    if (own.has(node)) continue;
    const key = identity(node);
    if (spare.has(key)) spare.get(key).push(node);
    else spare.set(key, [node]);
  }
  const nodes = wanted.map((fresh) => {
    const node = fresh.parentNode === parent ? fresh : (spare.get(identity(fresh))?.shift() ?? fresh);
    if (node !== fresh) update(node, fresh);
    return node;
  });
  for (const left of spare.values()) for (const node of left) node.remove();
  let next = parent.firstChild;
  for (const node of nodes) {
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
}

/** Do `change` to what `place` holds, and give the selection back that it has moved or taken. */
function selected(place, change) {
  const selection = document.getSelection();
  const { anchorNode, anchorOffset, focusNode, focusOffset } = selection;
  change();
  if (!anchorNode || (!place.contains(anchorNode) && !place.contains(focusNode))) return;
  if (!anchorNode.isConnected || !focusNode.isConnected) return;
  const same = selection.anchorNode === anchorNode && selection.anchorOffset === anchorOffset && selection.focusNode === focusNode && selection.focusOffset === focusOffset;
  if (!same) selection.setBaseAndExtent(anchorNode, Math.min(anchorOffset, size(anchorNode)), focusNode, Math.min(focusOffset, size(focusNode)));
}

/**
 * Make `place` hold `wanted`. A node that is there already and stands for the same - by its `data-key`, or by its kind and order where it
 * has none - stays, and takes text, attributes and listeners of the new one; a listener finds it in `event.currentTarget`.
 * @param {Element} place
 * @param {...(Node | string | null | undefined | false)} wanted strings become text nodes
 */
export function patch(place, ...wanted) {
  const active = document.activeElement;
  const nodes = wanted.filter(Boolean).map((one) => (typeof one === "string" ? document.createTextNode(one) : one));
  selected(place, () => children(place, nodes));
  // A node that moved has lost it.
  if (active !== document.activeElement && active.isConnected && active instanceof HTMLElement) active.focus({ preventScroll: true });
}
