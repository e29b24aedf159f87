// Owns the page of a store's report: its head, the class filter, and the links from outliers to the viewer.
"use strict";

function writeHead() {
  find("title").textContent = page.title;
  find("subtitle").textContent = page.store;
  const { clips, frames, rows, bodies, quarantined } = page.counts;
  const labelled = present.filter((i) => i < page.classes.length - 1).length;
  const tiles = { clips, classes: labelled, frames, bodies, rows, "quarantined files": quarantined };
  find("tiles").replaceChildren(
    ...Object.entries(tiles).map(([name, value]) => {
      const tile = element("div");
      tile.append(element("dt", name), element("dd", counted(value)));
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
