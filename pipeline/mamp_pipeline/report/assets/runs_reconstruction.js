// Predicted against true motion: a body with its masked joints, and the course of one joint, true and predicted.
"use strict";

const FRAME_RATE = 30;
const ARROW = 0.3;
const DIRECTIONS = ["left", "up", "away"];

function unpackLengths({ extent, values }) {
  return Float32Array.from(new Int16Array(bytesOf(values)), (value) => (value * extent) / 32767);
}

/** Unpack an example: joints, truth and predicted (T, V, 3) in metres, and how far each joint moves while it is masked. */
function unpackExample(packed, joints) {
  const example = { ...packed };
  for (const name of ["joints", "truth", "predicted"]) example[name] = unpackLengths(packed[name]);
  const isMasked = (frame, joint) => packed.masked[Math.floor(frame / packed.segment) * joints + joint] === 1;
  const at = (values, frame, joint) => Array.from(values.subarray((frame * joints + joint) * 3, (frame * joints + joint) * 3 + 3));
  const moved = Array.from({ length: joints }, (_, joint) => {
    let sum = 0;
    for (let frame = 1; frame < packed.frames; frame++) {
      const [one, other] = [at(example.joints, frame, joint), at(example.joints, frame - 1, joint)];
      if (isMasked(frame, joint)) sum += Math.hypot(...one.map((value, axis) => value - other[axis]));
    }
    return sum;
  });
  return { ...example, isMasked, at, moved };
}

/** Return the frame after which the joints move most. */
function busiestFrame({ joints, frames }, perFrame) {
  const moves = Array.from({ length: frames - 1 }, (_, frame) => {
    let sum = 0;
    for (let i = frame * perFrame; i < (frame + 1) * perFrame; i++) sum += Math.abs(joints[i + perFrame] - joints[i]);
    return sum;
  });
  return moves.indexOf(Math.max(...moves));
}

/** Return the points of a frame's arrows, [from, to] in metres, of masked joints. */
function arrowsOf(state, from) {
  const { example, frame, factor, target } = state;
  const arrows = [];
  for (let joint = 0; joint < state.joints.length; joint++) {
    if (!example.isMasked(frame, joint)) continue;
    const start = example.at(example.joints, frame, joint);
    const value = example.at(example[from], frame, joint);
    arrows.push([start, target === "motion" ? start.map((coordinate, axis) => coordinate + factor * value[axis]) : value]);
  }
  return arrows;
}

function drawArrows(canvas, state, from, colour) {
  const context = canvas.getContext("2d");
  const { clientWidth: width, clientHeight: height } = canvas;
  context.strokeStyle = colour;
  context.lineWidth = 3;
  context.beginPath();
  for (const arrow of arrowsOf(state, from)) {
    const [start, end] = arrow.map((point) => project(point, state.scene, state.turn, width, height));
    context.moveTo(start.x, start.y);
    context.lineTo(end.x, end.y);
  }
  context.stroke();
}

function drawMovement(state) {
  const canvas = find("motion-stage");
  const { example, frame, joints } = state;
  const points = joints.map((_, joint) => example.at(example.joints, frame, joint));
  const body = {
    points,
    colours: joints.map((_, joint) => styleColour(example.isMasked(frame, joint) ? "--panel" : "--bone")),
    ringed: joints.map((_, joint) => joint === state.joint),
  };
  drawBodies(canvas, [body], state.parents, state.scene, state.turn);
  if (state.target === "motion") drawArrows(canvas, state, "truth", markColour(0));
  drawArrows(canvas, state, "predicted", markColour(1));
  find("motion-frame").value = frame;
  find("motion-counter").textContent = `frame ${frame + 1} / ${example.frames}`;
  find("motion-play").textContent = state.playing ? "Pause" : "Play";
}

/** Draw a joint's course, true and predicted, in cm; frames in which its token was kept are shaded. */
function drawCourse(container, { example, joint }) {
  const frames = Array.from({ length: example.frames }, (_, frame) => frame + 1);
  const value = (from, frame, axis) => 100 * example.at(example[from], frame - 1, joint)[axis];
  const traces = DIRECTIONS.flatMap((_, axis) => {
    const common = { type: "scatter", mode: "lines", x: frames, xaxis: "x", yaxis: axis ? `y${axis + 1}` : "y", legendgroup: axis, showlegend: axis === 0 };
    const hover = (name) => `%{y:.2f} cm<extra>${name}</extra>`;
    return [
      { ...common, name: "true", y: frames.map((frame) => value("truth", frame, axis)), line: { color: markColour(0), width: 1.8 }, hovertemplate: hover("true") },
      {
        ...common,
        name: "predicted where masked",
        y: frames.map((frame) => (example.isMasked(frame - 1, joint) ? value("predicted", frame, axis) : null)),
        line: { color: markColour(1), width: 1.8 },
        hovertemplate: hover("predicted"),
      },
    ];
  });
  const kept = Array.from({ length: example.frames / example.segment }, (_, segment) => segment).filter((segment) => !example.isMasked(segment * example.segment, joint));
  const shapes = kept.map((segment) => ({
    type: "rect", xref: "x", yref: "paper", x0: segment * example.segment + 0.5, x1: (segment + 1) * example.segment + 0.5, y0: 0, y1: 1,
    fillcolor: styleColour("--faded"), opacity: 0.45, line: { width: 0 }, layer: "below",
  }));
  const layout = chartLayout("frame of the sample", "", { xaxis: { type: "linear", showgrid: true, nticks: 8, anchor: "y3", range: [0.5, example.frames + 0.5] } });
  DIRECTIONS.forEach((direction, axis) => {
    const bottom = (2 - axis) * 0.345;
    layout[axis ? `yaxis${axis + 1}` : "yaxis"] = {
      ...layout.yaxis, rangemode: "normal", nticks: 5, title: { text: `${direction}, cm`, standoff: 6 }, domain: [bottom, bottom + 0.31],
    };
  });
  plot(container, traces, { ...layout, shapes, showlegend: true, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, margin: { l: 60, r: 12, t: 44, b: 40 } });
}

/** Return the factor by which motion is enlarged in the picture, so that its fastest hundredth is visible. */
function enlargement({ example, target, joints }) {
  if (target !== "motion") return 1;
  const lengths = [];
  for (let frame = 0; frame < example.frames; frame++) {
    for (let joint = 0; joint < joints.length; joint++) lengths.push(Math.hypot(...example.at(example.truth, frame, joint)));
  }
  lengths.sort((a, b) => a - b);
  const fast = lengths[Math.floor(0.99 * (lengths.length - 1))];
  return fast > 0 ? Math.max(1, Math.round(ARROW / fast)) : 1;
}

const movement = { turn: { turn: 0.35, tilt: 0.1 }, playing: false };

function playMovement(playing) {
  movement.playing = playing;
  const began = performance.now();
  const { frame: first, example } = movement;
  const tick = (now) => {
    if (!movement.playing || movement.example !== example) return;
    movement.frame = (first + Math.floor((Math.max(0, now - began) / 1000) * FRAME_RATE)) % example.frames;
    drawMovement(movement);
    requestAnimationFrame(tick);
  };
  if (playing) requestAnimationFrame(tick);
  else drawMovement(movement);
}

function showExample(reconstruction, packed) {
  const { joints, parents } = reconstruction.skeleton;
  const example = unpackExample(packed, joints.length);
  Object.assign(movement, { example, joints, parents, target: reconstruction.target, playing: false });
  movement.frame = busiestFrame(example, joints.length * 3);
  movement.joint = example.moved.indexOf(Math.max(...example.moved));
  movement.scene = measureScene(example.joints, joints.length * 3);
  movement.factor = enlargement(movement);
  find("motion-frame").max = example.frames - 1;
  const order = joints.map((_, joint) => joint).sort((a, b) => example.moved[b] - example.moved[a]);
  find("motion-joint").replaceChildren(...order.map((joint) => element("option", joints[joint].replaceAll("_", " "), { value: joint })));
  const masked = packed.masked.reduce((sum, flag) => sum + flag, 0);
  const shown = reconstruction.target === "motion" ? `Lines are the motion to the next frame, ${movement.factor} times as long.` : "Lines lead from where a joint is to where it was predicted.";
  find("motion-summary").textContent =
    `Class ${packed.label}, body ${packed.body}: ${masked} of ${packed.masked.length} tokens masked, loss ${packed.loss}. ${shown} Masked joints are hollow, the selected one is ringed.`;
  const drawStage = () => drawMovement(movement);
  const drawJoint = () => drawCourse(find("motion-course"), movement);
  showAgain(find("motion-stage"), drawStage);
  showAgain(find("motion-course"), drawJoint);
  find("motion-joint").onchange = () => {
    movement.joint = Number(find("motion-joint").value);
    drawStage();
    drawJoint();
  };
}

function showReconstruction(reconstruction) {
  find("reconstruction-source").textContent = reconstruction.source + (
    reconstruction.normalised
      ? " The network predicts each token without its mean and size; here it is given those of the true token, so compare the course within a segment."
      : ""
  );
  find("motion-clip").replaceChildren(...reconstruction.examples.map(({ clip, label }, i) => element("option", `${clip} (${label})`, { value: i })));
  const show = () => showExample(reconstruction, reconstruction.examples[Number(find("motion-clip").value)]);
  find("motion-clip").onchange = show;
  show();
}

function prepareReconstruction() {
  const go = (frame) => {
    movement.playing = false;
    movement.frame = (frame + movement.example.frames) % movement.example.frames;
    drawMovement(movement);
  };
  find("motion-play").addEventListener("click", () => playMovement(!movement.playing));
  find("motion-back").addEventListener("click", () => go(movement.frame - 1));
  find("motion-forward").addEventListener("click", () => go(movement.frame + 1));
  find("motion-frame").addEventListener("input", () => go(Number(find("motion-frame").value)));
  followDrags(find("motion-stage"), (turn, tilt) => {
    movement.turn.turn += turn;
    movement.turn.tilt = Math.min(Math.max(movement.turn.tilt + tilt, -1.5), 1.5);
    drawMovement(movement);
  });
}
