// @ts-check
// Updates the page without rebuilding it: existing nodes are kept, so that a selection, the focus, the pointer's hover, a scroll
// position and open details survive every refresh.

import { takeListeners } from "adtally/dom.js";

/** Identity of a node: its kind and `data-key`; nodes without a key are matched by order. */
const identity = (node) => (node instanceof Element ? `${node.nodeName} ${node.getAttribute("data-key") ?? ""}` : node.nodeName);

const size = (node) => (node instanceof CharacterData ? node.length : node.childNodes.length);

/** Attributes that belong to the viewer: a refresh does not close what the viewer opened. */
const VIEWERS = new Map([["DETAILS", "open"]]);

function update(node, fresh) {
  if (node instanceof CharacterData) {
    if (node.data !== fresh.data) node.data = fresh.data;
    return;
  }
  const kept = VIEWERS.get(node.nodeName);
  for (const { name } of [...node.attributes]) if (name !== kept && !fresh.hasAttribute(name)) node.removeAttribute(name);
  for (const { name, value } of fresh.attributes)
    if (name !== kept && node.getAttribute(name) !== value) node.setAttribute(name, value);
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

/** Apply `change` to the content of `place`, and restore a selection that it moved or removed. */
function selected(place, change) {
  const selection = document.getSelection();
  if (!selection) return change();
  const { anchorNode, anchorOffset, focusNode, focusOffset } = selection;
  change();
  if (!anchorNode || !focusNode || (!place.contains(anchorNode) && !place.contains(focusNode))) return undefined;
  if (!anchorNode.isConnected || !focusNode.isConnected) return undefined;
  const same =
    selection.anchorNode === anchorNode &&
    selection.anchorOffset === anchorOffset &&
    selection.focusNode === focusNode &&
    selection.focusOffset === focusOffset;
  if (!same)
    selection.setBaseAndExtent(
      anchorNode,
      Math.min(anchorOffset, size(anchorNode)),
      focusNode,
      Math.min(focusOffset, size(focusNode)),
    );
  return undefined;
}

/**
 * Make `wanted` the content of `place`. An existing node with the same identity - `data-key`, or kind and order without one - is kept
 * and gets text, attributes and listeners of the new one; listeners find the node in `event.currentTarget`.
 * @param {Element} place
 * @param {...(Node | string | null | undefined | false)} wanted strings become text nodes
 */
export function patch(place, ...wanted) {
  const active = document.activeElement;
  const nodes = wanted.filter(Boolean).map((one) => (typeof one === "string" ? document.createTextNode(one) : one));
  selected(place, () => children(place, nodes));
  // A node that moved has lost the focus.
  if (active !== document.activeElement && active instanceof HTMLElement && active.isConnected)
    active.focus({ preventScroll: true });
}
