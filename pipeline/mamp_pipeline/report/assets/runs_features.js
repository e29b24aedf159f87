// Owns a run page's projection of features: clips on a plane, coloured by class.
"use strict";

const MARKS = ["circle", "square", "diamond", "cross", "triangle-up", "x", "star", "triangle-down"];
const LEGEND_CLASSES = 20;

function drawFeatures(place, features) {
  const { names, clips, label } = features;
  const { x, y, axes } = features.projections[Number(find("projection").value)];
  const chosen = Number(find("feature-class").value);
  const present = [...new Set(label)].sort((a, b) => a - b);
  // The chosen class is drawn last, above the others.
  present.sort((a, b) => (a === chosen) - (b === chosen));
  const traces = present.map((number) => {
    const members = label.map((_, i) => i).filter((i) => label[i] === number);
    const stands = chosen < 0 || chosen === number;
    return {
      type: "scatter",
      mode: "markers",
      name: plainLabel(cut(names[number] ?? "no label", 26)),
      x: members.map((i) => x[i]),
      y: members.map((i) => y[i]),
      text: members.map((i) => `${plainLabel(clips[i])}<br>${plainLabel(names[number] ?? "no label")}`),
      marker: {
        color: stands ? markColour(Math.max(number, 0)) : styleColour("--faded"),
        symbol: MARKS[Math.floor(Math.max(number, 0) / COLOURS) % MARKS.length],
        size: 6,
        opacity: stands ? 0.8 : 0.5,
      },
      hovertemplate: "%{text}<extra></extra>",
    };
  });
  const axis = { type: "linear", showgrid: true, zeroline: false, nticks: 8, rangemode: "normal" };
  const layout = chartLayout(axes[0], axes[1], { xaxis: axis, yaxis: axis });
  const legend = { itemsizing: "constant", itemclick: false, itemdoubleclick: false };
  plot(place, traces, { ...layout, showlegend: present.length <= LEGEND_CLASSES, legend, hovermode: "closest" });
}

function showFeatures(features) {
  const { source, clips, total, names, label, absent, projections } = features;
  const shown = clips.length < total ? ` ${counted(clips.length)} of ${counted(total)} are drawn; projections are of all.` : "";
  find("features-source").textContent = source + shown + (absent.length ? ` Not installed: ${absent.join("; ")}.` : "");
  find("projection").replaceChildren(...projections.map(({ title }, i) => element("option", title, { value: i })));
  const present = [...new Set(label)].sort((a, b) => a - b);
  find("feature-class").replaceChildren(
    element("option", "all classes", { value: -2 }),
    ...present.map((number) => element("option", names[number] ?? "no label", { value: number })),
  );
  const place = find("feature-map");
  const draw = () => showAgain(place, () => drawFeatures(place, features));
  find("projection").onchange = draw;
  find("feature-class").onchange = draw;
  draw();
}
