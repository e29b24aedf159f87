// Owns a store page's data: its tables by class, and the class that is chosen.
"use strict";

const playable = new Map(page.clips.map((clip) => [clip.id, clip]));
const filter = { chosen: -1 };

/** Sum a table by class over the classes chosen. */
function sumChosen(table) {
  return table.names.map((_, value) =>
    table.counts.reduce((sum, row, i) => sum + (filter.chosen < 0 || filter.chosen === i ? row[value] : 0), 0),
  );
}

const classTotals = page.classes.map((_, i) => page.groups.frames.counts[i].reduce((sum, count) => sum + count, 0));
const present = page.classes.map((_, i) => i).filter((i) => classTotals[i] > 0);

/** Return the mean intensity of each joint over the rows of the classes chosen. */
function jointMeans() {
  const chosen = present.filter((i) => filter.chosen < 0 || filter.chosen === i);
  const rows = chosen.reduce((sum, i) => sum + page.rows[i], 0) || 1;
  return page.skeleton.joints.map((_, joint) =>
    chosen.reduce((sum, i) => sum + page.jointIntensity[i][joint] * page.rows[i], 0) / rows,
  );
}

function isChosen(label) {
  return filter.chosen < 0 || page.classes[filter.chosen] === label;
}
