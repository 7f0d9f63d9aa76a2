// @ts-check
// The copy of ECharts that Panel ships: fetched after the first figures are on the page, drawn again whenever there are new ones.

import { h } from "adtally/dom.js";
import { color } from "adtally/theme.js";

const ECHARTS = "./static/extensions/panel/bundled/echarts/echarts@6.0.0/dist/echarts.min.js";

/** @type {Promise<any> | null} */
let loading = null;

function echarts() {
  loading ??= new Promise((resolve, reject) => {
    const script = h("script", { src: ECHARTS, onload: () => resolve(window.echarts), onerror: reject });
    document.head.append(script);
  });
  return loading;
}

/**
 * A text that is safe for ECharts. It uses texts as keys of plain objects, where names of inherited properties (`__proto__`,
 * `constructor`) would be found without being added: these get an invisible joiner.
 * @param {string} text
 */
export const drawable = (text) => (text in Object.prototype ? `${text}\u2060` : text);

/** What every chart has in common. */
export function chartStyle() {
  return {
    animation: false,
    aria: { enabled: false },
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    grid: { left: 4, right: 16, top: 14, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
  };
}

/** The box of a tooltip; what is in it is an element, which ECharts takes as it is: no name is ever read as markup. */
export function tooltipStyle() {
  return { confine: true, backgroundColor: color("card"), borderColor: color("line"), padding: 0 };
}

/**
 * @param {HTMLElement} place
 * @param {string} sorry shown instead if ECharts can't be loaded
 * @param {(chart: any) => void} [ready] called once
 * @param {(chart: any) => void} [finish] called whenever positions on the canvas may have changed
 * @returns {(options: () => Record<string, any>) => void} draws what `options` gives at that moment
 */
export function makeCanvas(place, sorry, ready = () => {}, finish = () => {}) {
  /** @type {any} */
  let drawn = null;
  /** @type {() => Record<string, any>} */
  let wanted = () => ({});

  async function draw() {
    const library = await echarts();
    if (!drawn) {
      drawn = library.init(place, null, { renderer: "canvas" });
      new ResizeObserver(() => {
        drawn.resize();
        finish(drawn);
      }).observe(place);
      ready(drawn);
    }
    // Remove series that are no longer wanted and update the others in place, so that an open tooltip stays.
    drawn.setOption(wanted(), { replaceMerge: ["series"] });
    finish(drawn);
  }

  return (options) => {
    wanted = options;
    draw().catch(() => place.replaceChildren(h("p", { class: "none" }, sorry)));
  };
}
