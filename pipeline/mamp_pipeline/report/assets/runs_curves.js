// Owns a run page's curves: loss, learning rate, accuracy, throughput and memory of the runs that are shown.
"use strict";

const AXES = { epoch: "epoch", step: "optimiser step", hours: "hours" };

/** Return the traces of what runs measured: of each step's lines thin, of each epoch's strong. */
function curveTraces(keep, measure, from) {
  return shownRuns(keep).flatMap(({ run, i }) =>
    from.map((lines) => ({
      type: "scatter",
      mode: lines === "epochs" && run.epochs.step.length < 3 ? "lines+markers" : "lines",
      name: plainLabel(run.name),
      x: run[lines][view.axis],
      y: run[lines][measure],
      line: runLine(i),
      opacity: lines === "train" && from.length > 1 ? 0.35 : 1,
      hovertemplate: `%{y:.4~g}<extra>${plainLabel(run.name)}${from.length > 1 ? (lines === "train" ? ", steps" : ", epoch") : ""}</extra>`,
    })),
  );
}

function drawCurves(place, keep, { measure, unit, from, start }) {
  const layout = chartLayout(AXES[view.axis], unit, {
    xaxis: { type: "linear", showgrid: true, nticks: 8, rangemode: "tozero" },
    yaxis: { rangemode: start === 0 ? "tozero" : "normal", exponentformat: "e" },
  });
  plot(place, curveTraces(keep, measure, from), { ...layout, showlegend: false, hovermode: "closest" });
}

function addCurves(section, caption, keep, curve) {
  const measured = page.runs.filter(keep).some((run) => curve.from.some((lines) => run[lines][curve.measure].some((value) => value !== null)));
  if (!measured) return;
  const figure = element("figure");
  const chart = element("div", "", { class: "chart" });
  figure.append(element("figcaption", caption), chart);
  find(section).append(figure);
  addChart(chart, () => drawCurves(chart, keep, curve));
}

function addAllCurves() {
  const loss = { measure: "loss", unit: "loss", from: ["train", "epochs"] };
  const lr = { measure: "lr", unit: "learning rate", from: ["train"], start: 0 };
  // Losses of different objectives and protocols do not mean the same: each has charts of its own.
  for (const method of new Set(page.runs.map((run) => run.method))) {
    addCurves("curve-charts", `${method}: loss on the training clips`, (run) => run.method === method, loss);
    addCurves("curve-charts", `${method}: learning rate`, (run) => run.method === method, lr);
  }
  const top = (k) => ({ measure: `top${k}`, unit: "%", from: ["epochs"] });
  addCurves("curve-charts", "Top-1 accuracy on the test clips after each epoch", () => true, top(1));
  addCurves("curve-charts", "Top-5 accuracy on the test clips after each epoch", () => true, top(5));
  addCurves("cost-charts", "Training clips per second", () => true, { measure: "rate", unit: "clips/s", from: ["train"], start: 0 });
  addCurves("cost-charts", "Peak memory", () => true, { measure: "memory", unit: "GB", from: ["train"], start: 0 });
}

function writeCurveNotes() {
  const steps = page.runs.some((run) => run.train.loss.length) ? "Thin lines are means of the steps between two lines of metrics, strong ones those of epochs. " : "";
  const together = page.runs.filter((run) => run.together > 1).map((run) => `${run.name}: ${run.together} lines of metrics are one point.`);
  const early = page.runs.filter((run) => run.train.step.length && !run.epochs.step.length).map((run) => `${run.name} has not finished an epoch: it is seen over steps and hours only.`);
  const none = page.runs.filter((run) => !run.train.step.length && !run.epochs.step.length).map((run) => `${run.name} has no metrics yet.`);
  find("curves-note").textContent = steps + [...together, ...early, ...none].join(" ");
  find("cost-note").textContent = "Throughput is that of training, measurements after an epoch aside. Memory is the most that tensors took on the first rank's GPU; on a CPU, the most that its process took.";
}
