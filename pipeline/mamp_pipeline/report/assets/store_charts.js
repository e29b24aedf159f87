// Owns a store page's figures.
"use strict";

function addCountCharts() {
  const titles = { subject: "subject", camera: "camera", setup: "setup", bodies: "bodies", frames: "frames" };
  const addFigure = (caption, wide) => {
    const figure = element("figure", "", wide ? { class: "wide" } : {});
    const chart = element("div", "", { class: "chart" });
    figure.append(element("figcaption", caption), chart);
    find("count-charts").append(figure);
    return chart;
  };
  const classes = addFigure("Clips by class", true);
  addChart(classes, () =>
    drawBars(classes, present.map((i) => page.classMarks[i]), present.map((i) => classTotals[i]), "class", { marked: filter.chosen < 0 ? null : present.indexOf(filter.chosen), titles: present.map((i) => page.classes[i]) }),
  );
  for (const [name, title] of Object.entries(titles)) {
    const table = page.groups[name];
    if (!table) continue;
    const chart = addFigure(`Clips by ${title}`, table.names.length > 40);
    addChart(chart, () => drawBars(chart, table.names, sumChosen(table), title));
  }
}

function drawBodyMap() {
  const means = jointMeans();
  const largest = Math.max(...means) || 1;
  const flat = Float32Array.from(page.skeleton.pose.flat());
  const body = { points: page.skeleton.pose, colours: means.map((mean) => viridis(mean / largest)), ringed: null };
  drawBodies(find("body-map"), [body], page.skeleton.parents, measureScene(flat, flat.length), { turn: 0.25, tilt: 0.05 });
}

function addMotionCharts() {
  addChart(find("quantiles"), () => drawQuantiles(find("quantiles"), page.classMarks, page.quantiles, filter.chosen));
  addChart(find("body-map"), drawBodyMap);
  addChart(find("joints"), () => drawJoints(find("joints"), page.skeleton.joints, jointMeans()));
  addChart(find("class-joints"), () => drawClassJoints(find("class-joints"), page.classMarks, page.classes, page.skeleton.joints, page.jointIntensity));
}
