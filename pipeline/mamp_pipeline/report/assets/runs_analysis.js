// Sections of the page of runs: class confusions, and projections of features.
"use strict";

/** Return the indices of the classes that test clips have or are taken for. */
function presentClasses({ names, matrix }) {
  return names.map((_, i) => i).filter((i) => matrix.some((row, j) => row[i] > 0 || (i === j && row.some((count) => count > 0))));
}

/** Return the indices of the classes to show: the present ones, or all where the reader asks for them. */
function shownClasses(confusion) {
  return find("confusion-all").checked ? confusion.names.map((_, i) => i) : presentClasses(confusion);
}

/** Return the indices of the classes to show in the selected order. */
function classOrder(confusion) {
  const { accuracy } = confusion;
  const indices = shownClasses(confusion);
  if (find("confusion-order").value === "label") return indices;
  return indices.sort((a, b) => (accuracy[a] ?? 101) - (accuracy[b] ?? 101));
}

function drawConfusion(container, confusion) {
  const { names, matrix } = confusion;
  const order = classOrder(confusion);
  const errors = find("confusion-errors").checked;
  const totals = matrix.map((row) => row.reduce((sum, count) => sum + count, 0));
  const share = (i, j) => (totals[i] && !(errors && i === j) ? (100 * matrix[i][j]) / totals[i] : null);
  const sorted = order.map((i) => names[i]);
  const map = {
    type: "heatmap",
    z: order.map((i) => order.map((j) => share(i, j))),
    customdata: order.map((i) => order.map((j) => [plainLabel(names[i]), plainLabel(names[j]), matrix[i][j], totals[i]])),
    zmin: 0,
    zmax: errors ? undefined : 100,
    colorscale: viridisScale(),
    colorbar: { title: { text: "%" }, thickness: 12, outlinewidth: 0 },
    hovertemplate: "%{customdata[0]}<br>taken for %{customdata[1]}<br>%{customdata[2]:,} of %{customdata[3]:,} clips, %{z:.1f} %<extra></extra>",
  };
  const axis = { type: "linear", showgrid: false, zeroline: false, range: [-0.5, order.length - 0.5] };
  const layout = chartLayout("", "", {
    xaxis: { ...axis, ...axisLabels(sorted, container.clientWidth - 220, 24), tickangle: -90 },
    yaxis: { ...axis, ...axisLabels(sorted, container.clientHeight - 130, 24), range: [order.length - 0.5, -0.5], rangemode: "normal" },
  });
  plot(container, [map], layout);
}

function drawClassAccuracy(container, confusion) {
  const order = classOrder(confusion);
  const names = order.map((i) => confusion.names[i]);
  const bars = {
    type: "bar",
    x: order.map((_, i) => i),
    y: order.map((i) => confusion.accuracy[i]),
    customdata: names.map(plainLabel),
    marker: { color: styleColour("--bar") },
    hovertemplate: "%{customdata}: %{y:.1f} %<extra></extra>",
  };
  const xaxis = { type: "linear", range: [-0.7, names.length - 0.3], zeroline: false, ...axisLabels(names, container.clientWidth - 80, 24), tickangle: -90 };
  plot(container, [bars], chartLayout("", "% recognised", { xaxis, yaxis: { range: [0, 100] } }));
}

function writeClassTable(confusion) {
  const { names, matrix, accuracy } = confusion;
  const rows = shownClasses(confusion).map((i) => {
    const total = matrix[i].reduce((sum, count) => sum + count, 0);
    const wrong = matrix[i].map((count, j) => (i === j ? 0 : count));
    const most = wrong.indexOf(Math.max(...wrong));
    return [names[i], total, matrix[i][i], accuracy[i], wrong[most] ? names[most] : null, wrong[most] ? (100 * wrong[most]) / total : null];
  });
  const columns = [
    { title: "class" },
    { title: "clips", numeric: true, show: formatCount },
    { title: "recognised", numeric: true, show: formatCount },
    { title: "% recognised", numeric: true, show: (value) => value.toFixed(1) },
    { title: "most often taken for" },
    { title: "% of class", numeric: true, show: (value) => value.toFixed(1) },
  ];
  createTable(find("class-table"), "Classes", columns, rows);
}

function writePairs({ names, matrix, pairs, allPairs }) {
  const rows = pairs.map(([label, taken, clips, share]) => [names[label], names[taken], clips, share, matrix[taken][label]]);
  const columns = [
    { title: "class" },
    { title: "taken for" },
    { title: "clips", numeric: true, show: formatCount },
    { title: "% of class", numeric: true, show: (value) => value.toFixed(1) },
    { title: "the other way round", numeric: true, show: formatCount },
  ];
  find("pairs-note").textContent =
    `By the share of a class's clips that is taken for the other class.` + (pairs.length < allPairs ? ` The hardest ${formatCount(pairs.length)} of ${formatCount(allPairs)}.` : "");
  createTable(find("pairs"), "Hardest pairs", columns, rows);
}

function showConfusion(confusion) {
  find("confusion-source").textContent = confusion.source;
  const map = find("confusion-map");
  const bars = find("class-accuracy");
  const draw = () => {
    showAgain(map, () => drawConfusion(map, confusion));
    showAgain(bars, () => drawClassAccuracy(bars, confusion));
  };
  for (const id of ["confusion-order", "confusion-errors"]) find(id).onchange = draw;
  find("confusion-all").onchange = () => {
    draw();
    writeClassTable(confusion);
  };
  const absent = confusion.names.length - presentClasses(confusion).length;
  find("confusion-all").parentElement.hidden = absent === 0;
  find("confusion-absent").textContent = `also the ${formatCount(absent)} of ${formatCount(confusion.names.length)} classes that no test clip has or is taken for`;
  draw();
  writeClassTable(confusion);
  writePairs(confusion);
}

const MARKS = ["circle", "square", "diamond", "cross", "triangle-up", "x", "star", "triangle-down"];
const LEGEND_CLASSES = 20;

function drawFeatures(container, features) {
  const { names, clips, label } = features;
  const { x, y, axes } = features.projections[Number(find("projection").value)];
  const chosen = Number(find("feature-class").value);
  const present = [...new Set(label)].sort((a, b) => a - b);
  // The chosen class is drawn last, above the others.
  present.sort((a, b) => (a === chosen) - (b === chosen));
  const traces = present.map((number) => {
    const members = label.map((_, i) => i).filter((i) => label[i] === number);
    const highlighted = chosen < 0 || chosen === number;
    return {
      type: "scatter",
      mode: "markers",
      name: plainLabel(cut(names[number] ?? "no label", 26)),
      x: members.map((i) => x[i]),
      y: members.map((i) => y[i]),
      text: members.map((i) => `${plainLabel(clips[i])}<br>${plainLabel(names[number] ?? "no label")}`),
      marker: {
        color: highlighted ? markColour(Math.max(number, 0)) : styleColour("--faded"),
        symbol: MARKS[Math.floor(Math.max(number, 0) / COLOURS) % MARKS.length],
        size: 6,
        opacity: highlighted ? 0.8 : 0.5,
      },
      hovertemplate: "%{text}<extra></extra>",
    };
  });
  const axis = { type: "linear", showgrid: true, zeroline: false, nticks: 8, rangemode: "normal" };
  const layout = chartLayout(axes[0], axes[1], { xaxis: axis, yaxis: axis });
  const legend = { itemsizing: "constant", itemclick: false, itemdoubleclick: false };
  plot(container, traces, { ...layout, showlegend: present.length <= LEGEND_CLASSES, legend, hovermode: "closest" });
}

function showFeatures(features) {
  const { source, clips, total, names, label, absent, projections } = features;
  const shown = clips.length < total ? ` ${formatCount(clips.length)} of ${formatCount(total)} are drawn; projections are of all.` : "";
  find("features-source").textContent = source + shown + (absent.length ? ` Not installed: ${absent.join("; ")}.` : "");
  find("projection").replaceChildren(...projections.map(({ title }, i) => element("option", title, { value: i })));
  const present = [...new Set(label)].sort((a, b) => a - b);
  find("feature-class").replaceChildren(
    element("option", "all classes", { value: -2 }),
    ...present.map((number) => element("option", names[number] ?? "no label", { value: number })),
  );
  const container = find("feature-map");
  const draw = () => showAgain(container, () => drawFeatures(container, features));
  find("projection").onchange = draw;
  find("feature-class").onchange = draw;
  draw();
}
