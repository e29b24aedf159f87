// Colours: the viridis scale, and those of the page's style for light and dark.
"use strict";

const VIRIDIS = [
  [68, 1, 84], [72, 24, 106], [71, 45, 123], [66, 64, 134], [59, 82, 139], [51, 99, 141], [44, 114, 142], [38, 130, 142],
  [33, 145, 140], [31, 160, 136], [40, 174, 128], [63, 188, 115], [94, 201, 98], [132, 212, 75], [173, 220, 48],
  [216, 226, 25], [253, 231, 37],
];

/** Return the colour of a share from 0 to 1: perceptually uniform, readable with any kind of colour vision. */
function viridis(share) {
  const position = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const below = Math.min(Math.floor(position), VIRIDIS.length - 2);
  const mixed = VIRIDIS[below].map((value, i) => Math.round(value + (VIRIDIS[below + 1][i] - value) * (position - below)));
  return `rgb(${mixed.join(",")})`;
}

/** Return the scale in plotly's format. */
function viridisScale() {
  return VIRIDIS.map((colour, i) => [i / (VIRIDIS.length - 1), `rgb(${colour.join(",")})`]);
}

/** Return a colour of the page's style, such as `--ink`. */
function styleColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Call back whenever the reader's system turns light or dark. */
function onThemeChange(callback) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback);
}

/** Make an element with text, never markup, in it. */
function element(tag, text = "", properties = {}) {
  const made = document.createElement(tag);
  if (text !== "") made.textContent = text;
  for (const [name, value] of Object.entries(properties)) made.setAttribute(name, value);
  return made;
}
