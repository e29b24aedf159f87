// Owns choosing, in a section of a run page, which run it shows; and saying what a run lacks.
"use strict";

/**
 * Let a section show one run at a time, of those that could have what it shows; say why the chosen one has not.
 * name: of the section's element and of the runs' field; able: which runs could have it; show: called with the field
 * and the run.
 */
function chooseRun(name, able, show) {
  const section = find(name);
  const runs = page.runs.filter(able);
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

/** Return which of so many labels have room, in pixels, and what they say, for an axis that counts from 0. */
function axisLabels(names, room, length) {
  const every = Math.max(1, Math.ceil((names.length * 13) / room));
  const places = names.map((_, i) => i).filter((i) => i % every === 0);
  return { tickvals: places, ticktext: places.map((i) => plainLabel(cut(names[i], length))) };
}

/** Have a figure drawn when it comes into sight, and again at once when it has been: what it shows has changed. */
function showAgain(place, draw) {
  const chart = charts.find((each) => each.place === place);
  if (!chart) addChart(place, draw);
  else {
    chart.draw = draw;
    if (chart.drawn) draw();
  }
}
