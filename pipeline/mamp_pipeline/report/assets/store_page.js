// The page of a store: counts, motion, outliers, clips to play, quarantine and provenance, all for one class or all.
"use strict";

const playable = new Map(page.clips.map((clip) => [clip.id, clip]));
const filter = { chosen: -1 };

/** Sum a table by class over the selected classes. */
function sumChosen(table) {
  return table.names.map((_, value) =>
    table.counts.reduce((sum, row, i) => sum + (filter.chosen < 0 || filter.chosen === i ? row[value] : 0), 0),
  );
}

const classTotals = page.classes.map((_, i) => page.groups.frames.counts[i].reduce((sum, count) => sum + count, 0));
const present = page.classes.map((_, i) => i).filter((i) => classTotals[i] > 0);

/** Return the mean intensity of each joint over the rows of the selected classes. */
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

const tables = [];

function writeSplits() {
  const rows = [];
  for (const protocol of page.protocols) {
    const table = page.groups[`split ${protocol.name}`];
    const counts = table ? sumChosen(table) : [];
    ["train", "test", "neither"].forEach((split, i) => {
      const index = table ? table.names.indexOf(split) : -1;
      if (!table || (split === "neither" && index < 0)) return;
      const clips = index < 0 ? 0 : counts[index];
      const official = filter.chosen < 0 ? protocol.official[i] : null;
      const known = official !== null && official !== undefined;
      rows.push([protocol.name, split, clips, known ? official : null, known ? clips - official : null]);
    });
  }
  const signed = (number) => (number > 0 ? `+${formatCount(number)}` : formatCount(number));
  const columns = [
    { title: "protocol" },
    { title: "split" },
    { title: "clips", numeric: true, show: formatCount },
    { title: "official", numeric: true, show: formatCount },
    { title: "difference", numeric: true, show: signed },
  ];
  createTable(find("splits"), "Splits", columns, rows);
  find("split-problems").replaceChildren(
    ...page.protocols.filter(({ problem }) => problem).map(({ name, problem }) => element("p", `${name}: ${problem}`)),
  );
}

function addClassTable() {
  const protocols = page.protocols.filter(({ name }) => page.groups[`split ${name}`]);
  const clipsOf = (name, i, value) => {
    const table = page.groups[`split ${name}`];
    const index = table.names.indexOf(value);
    return index < 0 ? 0 : table.counts[i][index];
  };
  const columns = [
    { title: "class" },
    { title: "clips", numeric: true, show: formatCount },
    ...protocols.flatMap(({ name }) => [
      { title: `${name} train`, numeric: true, show: formatCount },
      { title: `${name} test`, numeric: true, show: formatCount },
    ]),
    { title: "median intensity, cm", numeric: true, show: (value) => value.toFixed(2) },
  ];
  const rows = present.map((i) => [
    page.classes[i],
    classTotals[i],
    ...protocols.flatMap(({ name }) => [clipsOf(name, i, "train"), clipsOf(name, i, "test")]),
    page.quantiles[i][2] === null ? null : page.quantiles[i][2] * 100,
  ]);
  tables.push(createTable(find("classes"), "Classes", columns, rows, (row) => isChosen(row[0])));
}

function clipLink(id) {
  return playable.has(id) ? element("a", id, { href: `#clip=${encodeURIComponent(id)}` }) : id;
}

function addOutliers() {
  const values = {
    jumps: { title: "longest, m", numeric: true, show: (value) => value.toFixed(2) },
    still: { title: "still", numeric: true, show: (value) => `${Math.round(value * 100)} %` },
    bones: { title: "change", numeric: true, show: (value) => `${Math.round(value * 100)} %` },
  };
  for (const { kind, title, criterion, clips, rows } of page.outliers) {
    const container = element("div");
    const shown = rows.length < clips ? `, the worst ${rows.length} listed` : "";
    const share = `${formatCount(clips)} of ${formatCount(page.counts.clips)} clips${shown}. `;
    find("outliers").append(element("h3", title), element("p", share + criterion, { class: "soft" }), container);
    if (!rows.length) continue;
    const columns = [{ title: "clip", show: clipLink }, { title: "class" }, { title: "frames", numeric: true }, values[kind]];
    const cells = rows.map(({ clip, label, frames, value }) => [clip, label, frames, value]);
    if (kind !== "still") {
      columns.push({ title: "where" });
      rows.forEach(({ detail }, i) => cells[i].push(detail));
    }
    tables.push(createTable(container, title, columns, cells, (row) => isChosen(row[1])));
  }
}

function writeRest() {
  const { quarantined } = page.counts;
  const listed = page.quarantine.length;
  find("quarantine-note").textContent =
    quarantined === 0 ? "No file was quarantined." : listed < quarantined ? `The first ${formatCount(listed)} of ${formatCount(quarantined)}.` : "";
  if (listed) {
    const rows = page.quarantine.map(({ file, line, reason }) => [file, line || null, reason]);
    createTable(find("quarantine-table"), "Quarantine", [{ title: "file" }, { title: "line", numeric: true }, { title: "reason" }], rows);
  }
  createTable(find("provenance-table"), "Provenance", [{ title: "what" }, { title: "value" }], page.provenance);
}

function writeHead() {
  find("title").textContent = page.title;
  find("subtitle").textContent = page.store;
  const { clips, frames, rows, bodies, quarantined } = page.counts;
  const labelled = present.filter((i) => i < page.classes.length - 1).length;
  const tiles = { clips, classes: labelled, frames, bodies, rows, "quarantined files": quarantined };
  find("tiles").replaceChildren(
    ...Object.entries(tiles).map(([name, value]) => {
      const tile = element("div");
      tile.append(element("dt", name), element("dd", formatCount(value)));
      return tile;
    }),
  );
  find("class-filter").replaceChildren(
    element("option", "all classes", { value: -1 }),
    ...present.map((i) => element("option", page.classes[i], { value: i })),
  );
  find("motion-note").textContent =
    "Mean absolute difference of coordinates from one segment to the next, equation 4 of the paper, as stored.";
}

function addViewer() {
  find("clips").hidden = !page.clips.length;
  if (!page.clips.length) return null;
  const viewer = createViewer(find("viewer"), page.skeleton, false);
  const select = find("clip-select");
  select.replaceChildren(...page.clips.map(({ id, label }) => element("option", `${id} (${label})`, { value: id })));
  find("clip-command").textContent = `Any other: mampctl show ${page.store} CLIP --html FILE.html`;
  const show = (id) => {
    select.value = id;
    viewer.show(playable.get(id));
  };
  const follow = () => {
    const id = decodeURIComponent(location.hash.replace(/^#clip=/, ""));
    if (!location.hash.startsWith("#clip=") || !playable.has(id)) return;
    show(id);
    find("clips").scrollIntoView();
    find("viewer").querySelector("canvas").focus({ preventScroll: true });
  };
  select.addEventListener("change", () => show(select.value));
  addEventListener("hashchange", follow);
  show(page.clips[0].id);
  follow();
  return viewer;
}

writeHead();
addCountCharts();
addMotionCharts();
writeSplits();
addClassTable();
addOutliers();
writeRest();
const viewer = addViewer();
watchCharts();
find("class-filter").addEventListener("change", () => {
  filter.chosen = Number(find("class-filter").value);
  writeSplits();
  for (const table of tables) table.refresh();
  redraw();
});
onThemeChange(redraw);
