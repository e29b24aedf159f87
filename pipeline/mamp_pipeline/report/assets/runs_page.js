// Owns the page of runs: its head, the legend that shows and hides runs, and the axis of the curves.
"use strict";

function writeHead() {
  const single = page.runs.length === 1 ? page.runs[0] : null;
  find("title").textContent = single ? single.name : `${page.runs.length} runs`;
  find("subtitle").textContent = single ? single.path : page.runs.map((run) => run.name).join(", ");
  const facts = single ? outcomeFacts(single) : { runs: page.runs.length, complete: page.runs.filter((run) => run.state === "complete").length };
  find("tiles").replaceChildren(
    ...Object.entries(facts).map(([name, value]) => {
      const tile = element("div");
      tile.append(element("dt", name), element("dd", value));
      return tile;
    }),
  );
}

/** Return what came out of a run, in words by name. */
function outcomeFacts({ outcome, state, kind }) {
  const percent = (value) => `${value.toFixed(2)} %`;
  const shown = {
    task: [kind, (value) => value],
    state: [state, (value) => value],
    epochs: [outcome.epochs, counted],
    "loss of the last epoch": [outcome.last_loss, (value) => value.toFixed(4)],
    "top-1, last epoch": [outcome.last_top1, percent],
    "top-1, best epoch": [outcome.best_top1, percent],
    trained: [outcome.seconds, (value) => lasting(value / 3600)],
  };
  return Object.fromEntries(Object.entries(shown).filter(([, [value]]) => known(value)).map(([name, [value, show]]) => [name, show(value)]));
}

const known = (value) => value !== null && value !== undefined;

function writeOutcomes() {
  const columns = [
    { title: "run" }, { title: "state" }, { title: "epochs", numeric: true, show: counted },
    { title: "last loss", numeric: true, show: (value) => value.toFixed(4) },
    { title: "top-1, last", numeric: true, show: (value) => value.toFixed(2) },
    { title: "top-1, best", numeric: true, show: (value) => value.toFixed(2) },
    { title: "trained", numeric: true, show: (value) => lasting(value / 3600) },
    { title: "device" },
  ];
  const rows = page.runs.map(({ name, state, outcome, device }) => [
    name, state, outcome.epochs, outcome.last_loss, outcome.last_top1, outcome.best_top1, outcome.seconds, device,
  ]);
  createTable(find("outcomes"), "Outcomes", columns, rows);
}

/** Return the picture of a run's line. */
function lineSample(place) {
  const sample = element("canvas", "", { class: "line-sample", "aria-hidden": "true", width: 36, height: 12 });
  const { color, dash } = runLine(place);
  const context = sample.getContext("2d");
  context.strokeStyle = color;
  context.lineWidth = 3;
  context.setLineDash({ solid: [], dash: [8, 4], dot: [3, 3], dashdot: [8, 3, 3, 3] }[dash]);
  context.moveTo(0, 6);
  context.lineTo(36, 6);
  context.stroke();
  return sample;
}

function writeLegend() {
  find("runs-note").textContent = page.runs.length > 1 ? "A click on a run hides it from the curves, or brings it back." : "";
  find("legend").replaceChildren(
    ...page.runs.map((run, i) => {
      const line = element("li");
      const button = element("button", "", { type: "button", "aria-pressed": String(!view.hidden.has(i)) });
      button.append(lineSample(i), element("span", run.name));
      button.addEventListener("click", () => toggle(i, button));
      const told = [run.kind, run.recipe, `${run.dataset} ${run.protocol}`, ...run.differs, ...(run.state === "complete" ? [] : [run.state])];
      line.append(button, element("span", told.filter(Boolean).join(" · "), { class: "soft" }));
      for (const note of run.notes) line.append(element("span", note, { class: "warning" }));
      return line;
    }),
  );
}

function toggle(i, button) {
  if (!view.hidden.delete(i)) view.hidden.add(i);
  button.setAttribute("aria-pressed", String(!view.hidden.has(i)));
  redraw();
}

writeHead();
writeLegend();
writeOutcomes();
writeCurveNotes();
addAllCurves();
prepareReconstruction();
chooseRun("confusion", (run) => run.kind !== "pretrain", showConfusion);
chooseRun("features", () => true, showFeatures);
chooseRun("reconstruction", (run) => run.kind === "pretrain", showReconstruction);
watchCharts();
find("axis").addEventListener("change", () => {
  view.axis = find("axis").value;
  redraw();
});
onThemeChange(() => {
  writeLegend();
  redraw();
});
