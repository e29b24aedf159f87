// Owns a run page's data: its runs, which of them are shown, and the colour and line of each.
"use strict";

const DASHES = ["solid", "dash", "dot", "dashdot"];
const COLOURS = 6;
const view = { hidden: new Set(), axis: "epoch" };

/** Return the runs that are shown, with their places among all of them. */
function shownRuns(keep = () => true) {
  return page.runs.map((run, i) => ({ run, i })).filter(({ run, i }) => keep(run) && !view.hidden.has(i));
}

/** Return the colour of a run or class, one of six that differ for any kind of colour vision. */
function markColour(place) {
  return styleColour(`--mark${place % COLOURS}`);
}

/** Return the line of a run: its colour, and after six runs another dash. */
function runLine(place, width = 1.8) {
  return { color: markColour(place), dash: DASHES[Math.floor(place / COLOURS) % DASHES.length], width };
}

/** Return a duration in words. */
function lasting(hours) {
  if (hours < 1 / 60) return `${(hours * 3600).toFixed(0)} s`;
  return hours < 1 ? `${(hours * 60).toFixed(0)} min` : `${hours.toFixed(1)} h`;
}
