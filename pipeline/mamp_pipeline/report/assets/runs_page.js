// The page of runs: the legend that shows and hides runs, outcomes, curves, and the choice of a run in other sections.
"use strict";

const DASHES = ["solid", "dash", "dot", "dashdot"];
const COLOURS = 6;
const view = { hidden: new Set(), axis: "epoch" };

/** Return the runs that are shown, with their indices among all runs. */
function shownRuns(keep = () => true) {
  return page.runs.map((run, i) => ({ run, i })).filter(({ run, i }) => keep(run) && !view.hidden.has(i));
}

/** Return the colour of a run or class, one of six that are distinct for any kind of colour vision. */
function markColour(index) {
  return styleColour(`--mark${index % COLOURS}`);
}

/** Return the line of a run: its colour, and after six runs another dash. */
function runLine(index, width = 1.8) {
  return { color: markColour(index), dash: DASHES[Math.floor(index / COLOURS) % DASHES.length], width };
}

/** Return a duration in words. */
function formatDuration(hours) {
  if (hours < 1 / 60) return `${(hours * 3600).toFixed(0)} s`;
  return hours < 1 ? `${(hours * 60).toFixed(0)} min` : `${hours.toFixed(1)} h`;
}

/**
 * Let a section show one run at a time, of those that could have its data; say why the chosen run has none.
 * name: of the section's element and of the field in a run's data; applies: whether a run can have the field; show: called
 * with the field and the run.
 */
function chooseRun(name, applies, show) {
  const section = find(name);
  const runs = page.runs.filter(applies);
  section.hidden = !runs.length;
  document.querySelector(`nav a[href="#${name}"]`).hidden = !runs.length;
  if (!runs.length) return;
  const select = find(`${name}-run`);
  select.replaceChildren(...runs.map((run) => element("option", run.name, { value: page.runs.indexOf(run) })));
  select.parentElement.hidden = runs.length < 2;
  const first = runs.find((run) => !run[name].missing) || runs[0];
  select.value = page.runs.indexOf(first);
  const update = () => {
    const run = page.runs[Number(select.value)];
    const { missing } = run[name];
    find(`${name}-missing`).textContent = missing || "";
    find(`${name}-body`).hidden = Boolean(missing);
    if (!missing) show(run[name], run);
  };
  select.addEventListener("change", update);
  update();
}

/** Return a name that is cut to a number of characters. */
function cut(name, length) {
  return name.length > length ? `${name.slice(0, length - 1)}…` : name;
}

/** Return the ticks of an axis with one label for each integer: as many labels as fit into `room` pixels. */
function axisLabels(names, room, length) {
  const every = Math.max(1, Math.ceil((names.length * 13) / room));
  const indices = names.map((_, i) => i).filter((i) => i % every === 0);
  return { tickvals: indices, ticktext: indices.map((i) => plainLabel(cut(names[i], length))) };
}

/** Draw a figure when it comes into sight; if it is drawn already, draw it again now, because its data changed. */
function showAgain(container, draw) {
  const chart = charts.find((other) => other.container === container);
  if (!chart) addChart(container, draw);
  else {
    chart.draw = draw;
    if (chart.drawn) draw();
  }
}

const AXES = { epoch: "epoch", step: "optimiser step", hours: "hours" };

/** Return the traces of a metric: thin lines for steps, strong lines for epochs. */
function curveTraces(keep, metric, from) {
  return shownRuns(keep).flatMap(({ run, i }) =>
    from.map((lines) => ({
      type: "scatter",
      mode: lines === "epochs" && run.epochs.step.length < 3 ? "lines+markers" : "lines",
      name: plainLabel(run.name),
      x: run[lines][view.axis],
      y: run[lines][metric],
      line: runLine(i),
      opacity: lines === "train" && from.length > 1 ? 0.35 : 1,
      hovertemplate: `%{y:.4~g}<extra>${plainLabel(run.name)}${from.length > 1 ? (lines === "train" ? ", steps" : ", epoch") : ""}</extra>`,
    })),
  );
}

function drawCurves(container, keep, { metric, unit, from, start }) {
  const layout = chartLayout(AXES[view.axis], unit, {
    xaxis: { type: "linear", showgrid: true, nticks: 8, rangemode: "tozero" },
    yaxis: { rangemode: start === 0 ? "tozero" : "normal", exponentformat: "e" },
  });
  plot(container, curveTraces(keep, metric, from), { ...layout, showlegend: false, hovermode: "closest" });
}

function addCurves(section, caption, keep, curve) {
  const available = page.runs.filter(keep).some((run) => curve.from.some((lines) => run[lines][curve.metric].some((value) => value !== null)));
  if (!available) return;
  const figure = element("figure");
  const chart = element("div", "", { class: "chart" });
  figure.append(element("figcaption", caption), chart);
  find(section).append(figure);
  addChart(chart, () => drawCurves(chart, keep, curve));
}

function addAllCurves() {
  const loss = { metric: "loss", unit: "loss", from: ["train", "epochs"] };
  const lr = { metric: "lr", unit: "learning rate", from: ["train"], start: 0 };
  // Losses of different objectives and protocols cannot be compared: each has charts of its own.
  for (const method of new Set(page.runs.map((run) => run.method))) {
    addCurves("curve-charts", `${method}: loss on the training clips`, (run) => run.method === method, loss);
    addCurves("curve-charts", `${method}: learning rate`, (run) => run.method === method, lr);
  }
  const top = (k) => ({ metric: `top${k}`, unit: "%", from: ["epochs"] });
  addCurves("curve-charts", "Top-1 accuracy on the test clips after each epoch", () => true, top(1));
  addCurves("curve-charts", "Top-5 accuracy on the test clips after each epoch", () => true, top(5));
  addCurves("cost-charts", "Training clips per second", () => true, { metric: "rate", unit: "clips/s", from: ["train"], start: 0 });
  addCurves("cost-charts", "Peak memory", () => true, { metric: "memory", unit: "GB", from: ["train"], start: 0 });
}

function writeCurveNotes() {
  const steps = page.runs.some((run) => run.train.loss.length) ? "Thin lines are means of the steps between two lines of metrics, strong ones those of epochs. " : "";
  const together = page.runs.filter((run) => run.together > 1).map((run) => `${run.name}: ${run.together} lines of metrics are one point.`);
  const early = page.runs.filter((run) => run.train.step.length && !run.epochs.step.length).map((run) => `${run.name} has not finished an epoch: it is seen over steps and hours only.`);
  const none = page.runs.filter((run) => !run.train.step.length && !run.epochs.step.length).map((run) => `${run.name} has no metrics yet.`);
  find("curves-note").textContent = steps + [...together, ...early, ...none].join(" ");
  find("cost-note").textContent = "Throughput is that of training, measurements after an epoch aside. Memory is the most that tensors took on the first rank's GPU; on a CPU, the most that its process took.";
}

function writeHead() {
  const single = page.runs.length === 1 ? page.runs[0] : null;
  find("title").textContent = single ? single.name : `${page.runs.length} runs`;
  find("subtitle").textContent = single ? single.path : page.runs.map((run) => run.name).join(", ");
  const tiles = single ? outcomeTiles(single) : { runs: page.runs.length, complete: page.runs.filter((run) => run.state === "complete").length };
  find("tiles").replaceChildren(
    ...Object.entries(tiles).map(([name, value]) => {
      const tile = element("div");
      tile.append(element("dt", name), element("dd", value));
      return tile;
    }),
  );
}

/** Return the results of a run in words, by name. */
function outcomeTiles({ outcome, state, kind }) {
  const percent = (value) => `${value.toFixed(2)} %`;
  const shown = {
    task: [kind, (value) => value],
    state: [state, (value) => value],
    epochs: [outcome.epochs, formatCount],
    "loss of the last epoch": [outcome.last_loss, (value) => value.toFixed(4)],
    "top-1, last epoch": [outcome.last_top1, percent],
    "top-1, best epoch": [outcome.best_top1, percent],
    trained: [outcome.seconds, (value) => formatDuration(value / 3600)],
  };
  return Object.fromEntries(Object.entries(shown).filter(([, [value]]) => known(value)).map(([name, [value, show]]) => [name, show(value)]));
}

const known = (value) => value !== null && value !== undefined;

function writeOutcomes() {
  const columns = [
    { title: "run" }, { title: "state" }, { title: "epochs", numeric: true, show: formatCount },
    { title: "last loss", numeric: true, show: (value) => value.toFixed(4) },
    { title: "top-1, last", numeric: true, show: (value) => value.toFixed(2) },
    { title: "top-1, best", numeric: true, show: (value) => value.toFixed(2) },
    { title: "trained", numeric: true, show: (value) => formatDuration(value / 3600) },
    { title: "device" },
  ];
  const rows = page.runs.map(({ name, state, outcome, device }) => [
    name, state, outcome.epochs, outcome.last_loss, outcome.last_top1, outcome.best_top1, outcome.seconds, device,
  ]);
  createTable(find("outcomes"), "Outcomes", columns, rows);
}

/** Return a sample of a run's line for the legend. */
function lineSample(index) {
  const sample = element("canvas", "", { class: "line-sample", "aria-hidden": "true", width: 36, height: 12 });
  const { color, dash } = runLine(index);
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
      const labels = [run.kind, run.recipe, `${run.dataset} ${run.protocol}`, ...run.differs, ...(run.state === "complete" ? [] : [run.state])];
      line.append(button, element("span", labels.filter(Boolean).join(" · "), { class: "soft" }));
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
