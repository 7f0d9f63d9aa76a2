// Names beside the points of a chart: each where there is room, and none over a point or another name.

const HEIGHT = 15;
const GAP = 4;

/**
 * @typedef {{x: number, y: number, radius: number, width: number}} Point in pixels; `width` is that of its name
 * @typedef {{left: number, right: number, top: number, bottom: number}} Box
 */

const around = ({ x, y, radius }) => ({ left: x - radius, right: x + radius, top: y - radius, bottom: y + radius });
const apart = (one, other) => one.right <= other.left || other.right <= one.left || one.bottom <= other.top || other.bottom <= one.top;

/** Where the name of a point would stand, on each of its sides. @param {Point} point */
function places({ x, y, radius, width }) {
  const far = radius + GAP;
  const beside = { top: y - HEIGHT / 2, bottom: y + HEIGHT / 2 };
  const above = { left: x - width / 2, right: x + width / 2 };
  return {
    right: { left: x + far, right: x + far + width, ...beside },
    left: { left: x - far - width, right: x - far, ...beside },
    top: { ...above, top: y - far - HEIGHT, bottom: y - far },
    bottom: { ...above, top: y + far, bottom: y + far + HEIGHT },
  };
}

/**
 * The side of each point on which its name has room within `bounds`, or null; who comes first is served first.
 * @param {Point[]} points
 * @param {Box} bounds
 * @returns {(string | null)[]}
 */
export function sides(points, bounds) {
  const taken = points.map(around);
  return points.map((point, own) => {
    const inside = (box) => box.left >= bounds.left && box.right <= bounds.right && box.top >= bounds.top && box.bottom <= bounds.bottom;
    const free = (box) => inside(box) && taken.every((other, at) => at === own || apart(box, other));
    const found = Object.entries(places(point)).find(([, box]) => free(box));
    if (!found) return null;
    taken.push(found[1]);
    return found[0];
  });
}
