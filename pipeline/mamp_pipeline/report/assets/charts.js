// The data of a page, and charts that are drawn when they come into sight.
"use strict";

const page = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const formatCount = (number) => number.toLocaleString("en");

const charts = [];

function addChart(container, draw) {
  charts.push({ container, draw, drawn: false });
}

const visibility = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const chart = charts.find(({ container }) => container === entry.target);
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

/** Draw each figure when it comes into sight. */
function watchCharts() {
  for (const { container } of charts) visibility.observe(container);
}

/** Escape a label: plotly interprets some markup. */
function plainLabel(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function chartLayout(titleX, titleY, more = {}) {
  const ink = styleColour("--ink");
  const axis = { gridcolor: styleColour("--line"), zerolinecolor: styleColour("--line"), automargin: true, fixedrange: true };
  return {
    margin: { l: 56, r: 12, t: 8, b: 40 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink, family: 'system-ui, "DejaVu Sans", sans-serif', size: 12 },
    hoverlabel: { bgcolor: styleColour("--panel"), bordercolor: styleColour("--line"), font: { color: ink } },
    bargap: 0.15,
    xaxis: { ...axis, title: { text: titleX }, type: "category", nticks: 24, showgrid: false, ...more.xaxis },
    yaxis: { ...axis, title: { text: titleY, standoff: 10 }, rangemode: "tozero", ...more.yaxis },
  };
}

function plot(container, traces, layout) {
  return Plotly.react(container, traces, layout, { displayModeBar: false, responsive: true });
}

/** Draw counts as bars; with one `marked`, the others are faded. */
function drawBars(container, names, counts, titleX, { marked = null, titles = names } = {}) {
  const colour = names.map((_, i) => styleColour(marked === null || marked === i ? "--bar" : "--faded"));
  const bars = { type: "bar", x: names.map(plainLabel), y: counts, customdata: titles.map(plainLabel), marker: { color: colour }, hovertemplate: "%{customdata}: %{y:,}<extra></extra>" };
  const xaxis = { nticks: Math.max(4, Math.floor(container.clientWidth / 60)) };
  plot(container, [bars], chartLayout(titleX, "clips", { xaxis }));
}

/** Draw each class's quantiles (5, 25, 50, 75, 95 %) of clips' mean intensity, in cm. */
function drawQuantiles(container, names, quantiles, marked) {
  const present = names.map((_, i) => i).filter((i) => quantiles[i][0] !== null);
  const column = (quantile) => present.map((i) => quantiles[i][quantile] * 100);
  const colour = styleColour("--bar");
  const box = {
    type: "box",
    x: present.map((i) => plainLabel(names[i])),
    lowerfence: column(0),
    q1: column(1),
    median: column(2),
    q3: column(3),
    upperfence: column(4),
    line: { color: colour, width: 1.2 },
    fillcolor: styleColour("--faded"),
    hoverinfo: "x+y",
  };
  const markedIndex = present.indexOf(marked);
  const shapes = markedIndex < 0 ? [] : [{ type: "rect", xref: "x", yref: "paper", x0: markedIndex - 0.5, x1: markedIndex + 0.5, y0: 0, y1: 1, line: { color: styleColour("--accent") } }];
  plot(container, [box], { ...chartLayout("class", "cm"), shapes });
}

/** Draw mean intensity, in cm, of joints (rows) by classes (columns). */
function drawClassJoints(container, names, titles, joints, intensity) {
  const present = names.map((_, i) => i).filter((i) => intensity[i][0] !== null);
  const map = {
    type: "heatmap",
    x: present.map((i) => plainLabel(names[i])),
    y: joints.map((joint) => plainLabel(joint.replaceAll("_", " "))),
    z: joints.map((_, joint) => present.map((i) => intensity[i][joint] * 100)),
    customdata: joints.map(() => present.map((i) => plainLabel(titles[i]))),
    colorscale: viridisScale(),
    colorbar: { title: { text: "cm" }, thickness: 12, outlinewidth: 0 },
    hovertemplate: "class %{customdata}, %{y}: %{z:.2f} cm<extra></extra>",
  };
  const layout = chartLayout("class", "", { yaxis: { type: "category", autorange: "reversed", dtick: 1, tickfont: { size: 10 } } });
  plot(container, [map], layout);
}

/** Draw the mean intensity of each joint, in cm, the largest at the top. */
function drawJoints(container, joints, means) {
  const order = joints.map((_, i) => i).sort((a, b) => means[a] - means[b]);
  const bars = {
    type: "bar",
    orientation: "h",
    x: order.map((i) => means[i] * 100),
    y: order.map((i) => plainLabel(joints[i].replaceAll("_", " "))),
    marker: { color: order.map((i) => viridis(means[i] / (Math.max(...means) || 1))), line: { color: styleColour("--soft"), width: 0.5 } },
    hovertemplate: "%{y}: %{x:.2f} cm<extra></extra>",
  };
  const layout = chartLayout("mean intensity, cm", "", { xaxis: { type: "linear", rangemode: "tozero", showgrid: true, nticks: 8 }, yaxis: { type: "category", dtick: 1, tickfont: { size: 10 } } });
  plot(container, [bars], layout);
}
