// @ts-check
// Names next to the points of a chart: each where there is room, and none over a point or another name.

const HEIGHT = 15;
const GAP = 4;

/**
 * @typedef {{x: number, y: number, radius: number, width: number}} Point in pixels; `width` is that of its name
 * @typedef {{left: number, right: number, top: number, bottom: number}} Box
 */

const around = ({ x, y, radius }) => ({ left: x - radius, right: x + radius, top: y - radius, bottom: y + radius });
const apart = (one, other) =>
  one.right <= other.left || other.right <= one.left || one.bottom <= other.top || other.bottom <= one.top;

/** Where the name of a point would be, on each of its sides: above and below it is moved into `bounds`. @param {Point} point @param {Box} bounds */
function places({ x, y, radius, width }, bounds) {
  const far = radius + GAP;
  const beside = { top: y - HEIGHT / 2, bottom: y + HEIGHT / 2, shift: 0 };
  const begin = Math.max(Math.min(x - width / 2, bounds.right - width), bounds.left);
  const above = { left: begin, right: begin + width, shift: begin - (x - width / 2) };
  return {
    right: { left: x + far, right: x + far + width, ...beside },
    left: { left: x - far - width, right: x - far, ...beside },
    top: { ...above, top: y - far - HEIGHT, bottom: y - far },
    bottom: { ...above, top: y + far, bottom: y + far + HEIGHT },
  };
}

/**
 * The side of each point on which its name has room within `bounds`, and by how far it is moved along it, or null; earlier points have
 * priority.
 * @param {Point[]} points
 * @param {Box} bounds
 * @param {Box[]} [kept] where no name may stand
 * @returns {({side: string, shift: number} | null)[]}
 */
export function sides(points, bounds, kept = []) {
  const taken = [...points.map(around), ...kept];
  return points.map((point, own) => {
    const inside = (box) =>
      box.left >= bounds.left && box.right <= bounds.right && box.top >= bounds.top && box.bottom <= bounds.bottom;
    const free = (box) => inside(box) && taken.every((other, at) => at === own || apart(box, other));
    const found = Object.entries(places(point, bounds)).find(([, box]) => free(box));
    if (!found) return null;
    taken.push(found[1]);
    return { side: found[0], shift: found[1].shift };
  });
}
