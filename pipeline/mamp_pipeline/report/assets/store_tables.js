// Owns a store page's tables.
"use strict";

const tables = [];

function writeSplits() {
  const rows = [];
  for (const protocol of page.protocols) {
    const table = page.groups[`side ${protocol.name}`];
    const counts = table ? sumChosen(table) : [];
    ["train", "test", "neither"].forEach((side, i) => {
      const place = table ? table.names.indexOf(side) : -1;
      if (!table || (side === "neither" && place < 0)) return;
      const clips = place < 0 ? 0 : counts[place];
      const official = filter.chosen < 0 ? protocol.official[i] : null;
      const known = official !== null && official !== undefined;
      rows.push([protocol.name, side, clips, known ? official : null, known ? clips - official : null]);
    });
  }
  const signed = (number) => (number > 0 ? `+${counted(number)}` : counted(number));
  const columns = [
    { title: "protocol" },
    { title: "side" },
    { title: "clips", numeric: true, show: counted },
    { title: "official", numeric: true, show: counted },
    { title: "difference", numeric: true, show: signed },
  ];
  createTable(find("splits"), "Splits", columns, rows);
  find("split-problems").replaceChildren(
    ...page.protocols.filter(({ problem }) => problem).map(({ name, problem }) => element("p", `${name}: ${problem}`)),
  );
}

function addClassTable() {
  const sides = page.protocols.filter(({ name }) => page.groups[`side ${name}`]);
  const side = (name, i, value) => {
    const table = page.groups[`side ${name}`];
    const place = table.names.indexOf(value);
    return place < 0 ? 0 : table.counts[i][place];
  };
  const columns = [
    { title: "class" },
    { title: "clips", numeric: true, show: counted },
    ...sides.flatMap(({ name }) => [
      { title: `${name} train`, numeric: true, show: counted },
      { title: `${name} test`, numeric: true, show: counted },
    ]),
    { title: "median intensity, cm", numeric: true, show: (value) => value.toFixed(2) },
  ];
  const rows = present.map((i) => [
    page.classes[i],
    classTotals[i],
    ...sides.flatMap(({ name }) => [side(name, i, "train"), side(name, i, "test")]),
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
    const place = element("div");
    const shown = rows.length < clips ? `, the worst ${rows.length} listed` : "";
    const share = `${counted(clips)} of ${counted(page.counts.clips)} clips${shown}. `;
    find("outliers").append(element("h3", title), element("p", share + criterion, { class: "soft" }), place);
    if (!rows.length) continue;
    const columns = [{ title: "clip", show: clipLink }, { title: "class" }, { title: "frames", numeric: true }, values[kind]];
    const cells = rows.map(({ clip, label, frames, value }) => [clip, label, frames, value]);
    if (kind !== "still") {
      columns.push({ title: "where" });
      rows.forEach(({ detail }, i) => cells[i].push(detail));
    }
    tables.push(createTable(place, title, columns, cells, (row) => isChosen(row[1])));
  }
}

function writeRest() {
  const { quarantined } = page.counts;
  const listed = page.quarantine.length;
  find("quarantine-note").textContent =
    quarantined === 0 ? "No file was quarantined." : listed < quarantined ? `The first ${counted(listed)} of ${counted(quarantined)}.` : "";
  if (listed) {
    const rows = page.quarantine.map(({ file, line, reason }) => [file, line || null, reason]);
    createTable(find("quarantine-table"), "Quarantine", [{ title: "file" }, { title: "line", numeric: true }, { title: "reason" }], rows);
  }
  createTable(find("provenance-table"), "Provenance", [{ title: "what" }, { title: "value" }], page.provenance);
}
