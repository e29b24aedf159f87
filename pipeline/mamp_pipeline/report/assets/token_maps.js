// The maps beside the skeleton: intensity over time, and joints by segments with their masking probability.
"use strict";

const MAP_LEFT = 104;
const MAP_BOTTOM = 16;

/** Where the segments lie on a map's canvas; the same for all maps, so that they line up. */
function segmentGrid(width, segments) {
  const step = (width - MAP_LEFT - 2) / segments;
  return { left: (segment) => MAP_LEFT + segment * step, step };
}

/** Return the segment at a position on a map's canvas, or -1. */
function segmentAt(canvas, clientX, segments) {
  const box = canvas.getBoundingClientRect();
  const { step } = segmentGrid(box.width, segments);
  const segment = Math.floor((clientX - box.left - MAP_LEFT) / step);
  return segment >= 0 && segment < segments ? segment : -1;
}

function drawPlayhead(context, grid, segment, height) {
  if (segment < 0) return;
  context.strokeStyle = styleColour("--accent");
  context.lineWidth = 2;
  context.strokeRect(grid.left(segment), 1, grid.step, height - MAP_BOTTOM - 1);
}

function writeLabels(context, grid, segments, height) {
  context.fillStyle = styleColour("--soft");
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "bottom";
  for (let segment = 0; segment < segments; segment += 5) {
    context.fillText(String(segment + 1), grid.left(segment) + grid.step / 2, height);
  }
}

/** Draw each segment's intensity, the mean over its joints. */
function drawTimeLine(canvas, means, segment) {
  const { context, width, height } = prepareCanvas(canvas);
  const grid = segmentGrid(width, means.length);
  const largest = Math.max(...means) || 1;
  const room = height - MAP_BOTTOM - 4;
  means.forEach((mean, index) => {
    const tall = (mean / largest) * room;
    context.fillStyle = styleColour("--bar");
    context.fillRect(grid.left(index) + 0.5, 2 + room - tall, grid.step - 1, tall);
  });
  writeLabels(context, grid, means.length, height);
  context.textAlign = "right";
  context.textBaseline = "top";
  context.fillText(`${(largest * 100).toFixed(1)} cm`, MAP_LEFT - 6, 2);
  context.textBaseline = "bottom";
  context.fillText("0", MAP_LEFT - 6, height - MAP_BOTTOM);
  drawPlayhead(context, grid, segment, height);
}

/** Draw the tokens' probabilities, joints (rows) by segments (columns); where a mask is given, kept tokens are white. */
function drawTokens(canvas, probability, names, segments, masked, segment) {
  const { context, width, height } = prepareCanvas(canvas);
  const grid = segmentGrid(width, segments);
  const row = (height - MAP_BOTTOM - 2) / names.length;
  let low = Infinity;
  let high = -Infinity;
  for (const value of probability) [low, high] = [Math.min(low, value), Math.max(high, value)];
  probability.forEach((value, token) => {
    const left = grid.left(Math.floor(token / names.length));
    const top = 1 + (token % names.length) * row;
    context.fillStyle = viridis((value - low) / (high - low || 1));
    context.fillRect(left, top, grid.step + 0.3, row + 0.3);
    if (masked && !masked[token]) {
      context.fillStyle = "#fff";
      context.fillRect(left + 1, top + 1, grid.step - 2, row - 2);
    }
  });
  writeLabels(context, grid, segments, height);
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.font = `${Math.max(8, Math.min(11, row - 0.5))}px system-ui, sans-serif`;
  const every = Math.ceil(9 / row);
  names.forEach((name, joint) => {
    if (joint % every === 0) context.fillText(name.replaceAll("_", " "), MAP_LEFT - 6, 1 + (joint + 0.5) * row, MAP_LEFT - 8);
  });
  drawPlayhead(context, grid, segment, height);
}
