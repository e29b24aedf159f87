// Owns which figures a page has: drawn when they come into sight, and again when what they show changes.
"use strict";

const charts = [];

function addChart(place, draw) {
  charts.push({ place, draw, drawn: false });
}

const sight = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const chart = charts.find((each) => each.place === entry.target);
      if (!entry.isIntersecting || chart.drawn) continue;
      chart.drawn = true;
      chart.draw();
    }
  },
  { rootMargin: "300px" },
);

function redraw() {
  for (const chart of charts) if (chart.drawn) chart.draw();
}

/** Have the figures drawn that are in sight, or come into it. */
function watchCharts() {
  for (const { place } of charts) sight.observe(place);
}
