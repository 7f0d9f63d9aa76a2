"""How soon a browser shows figures: ``python -m benchmarks.dashboard.paint [--rounds 7]``.

Debian's Chromium, without a window, opens the overview of a full dashboard (benchmarks/dashboard/served.py). Milliseconds from the start
of the navigation until the first figure was painted, until the chart was, and until the page is connected for later ones; medians, and the
worst; and the CPU that the server spent on it, files included. Before each round a minute more has come in, so that the figures are worked
out for this visit; *new* is a browser that has nothing of the page yet, *again* the same one once more.
"""

from __future__ import annotations

import argparse
import statistics

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from benchmarks.dashboard.served import ServedDashboard, produce, served
from benchmarks.dashboard.store import minute
from tests.support.browser.chromium import ARGS, CHROMIUM
from tests.support.flows import wait_for

SIZES = {"24 h × 50 campaigns × 5 channels": (50, 5, 1440), "2 h × 5,000 campaigns": (5000, 1, 120)}
"""Campaigns, channels and minutes that are held."""

STEPS = ("figure", "chart", "connected")
CPU = "server's CPU"

_WATCH = """
window.seen = {};
const wanted = {
  figure: () => /[0-9]/.test(document.querySelector("[data-measure] .tile-value")?.textContent ?? ""),
  chart: () => document.querySelector("#chart canvas") !== null,
  connected: () => document.documentElement?.hasAttribute("data-linked"),
};
const look = () => {
  for (const [name, there] of Object.entries(wanted)) {
    if (name in window.seen || !there()) continue;
    window.seen[name] = null;
    // A task after the next frame: by then what was found is painted.
    requestAnimationFrame(() => setTimeout(() => { window.seen[name] = performance.now(); }));
  }
};
new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
"""


def spent(site: ServedDashboard) -> float:
    """CPU of the server so far, in milliseconds."""
    times = site.process.cpu_times()
    return 1e3 * (times.user + times.system)


def opened(context: BrowserContext, site: ServedDashboard) -> dict[str, float]:
    """Milliseconds until each of `STEPS`, and of the server's CPU."""
    page = context.new_page()
    page.add_init_script(_WATCH)
    before = spent(site)
    page.goto(site.address)
    page.wait_for_function("names => names.every(name => window.seen[name])", arg=list(STEPS), timeout=60_000)
    found: dict[str, float] = page.evaluate("window.seen")
    found[CPU] = spent(site) - before
    page.close()
    return found


def measure(browser: Browser, title: str, site: ServedDashboard, size: tuple[int, int, int], rounds: int) -> None:
    """Print the table of one size."""
    campaigns, channels, minutes = size
    found: dict[str, list[dict[str, float]]] = {"new": [], "again": []}
    for turn in range(rounds + 1):
        before = site.rows()
        produce(site.settings, minute(minutes + turn, campaigns, channels))
        wait_for(lambda before=before: site.rows() != before, "the minute to come in")
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        for values in found.values():
            values.append(opened(context, site))
        context.close()
    print(f"\n{title}: {site.rows():,} rows")
    shown = (*STEPS, CPU)
    print(f"{'':24}" + "".join(f"{name:>18}" for name in shown))
    print(f"{'first of the process':24}" + "".join(f"{found['new'][0][name]:15,.0f} ms" for name in shown))
    for kind, values in found.items():
        columns = [[one[name] for one in values[1:]] for name in shown]
        print(f"{kind + ', median':24}" + "".join(f"{statistics.median(column):15,.0f} ms" for column in columns))
        print(f"{kind + ', worst':24}" + "".join(f"{max(column):15,.0f} ms" for column in columns))


def main() -> None:
    """Measure and print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        for title, size in SIZES.items():
            with served(*size) as site:
                measure(browser, title, site, size, options.rounds)
        browser.close()


if __name__ == "__main__":
    main()
