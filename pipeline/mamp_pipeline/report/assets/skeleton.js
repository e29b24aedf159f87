// The picture of a skeleton: a perspective view of one frame on a canvas, from any direction.
"use strict";

/** Return the centre and radius, in metres, of the space that a clip's bodies occupy, without frames in which a body is all zeros. */
function measureScene(joints, perBody) {
  const low = [Infinity, Infinity, Infinity];
  const high = [-Infinity, -Infinity, -Infinity];
  for (let start = 0; start < joints.length; start += perBody) {
    if (!isSeen(joints, start, perBody)) continue;
    for (let i = start; i < start + perBody; i++) {
      low[(i - start) % 3] = Math.min(low[(i - start) % 3], joints[i]);
      high[(i - start) % 3] = Math.max(high[(i - start) % 3], joints[i]);
    }
  }
  if (low[0] > high[0]) return { centre: [0, 0, 0], radius: 1 };
  const centre = low.map((value, axis) => (value + high[axis]) / 2);
  return { centre, radius: Math.max(Math.hypot(...low.map((value, axis) => high[axis] - value)) / 2, 0.1) };
}

function isSeen(joints, start, length) {
  for (let i = start; i < start + length; i++) if (joints[i] !== 0) return true;
  return false;
}

/**
 * Turn a point about the scene's centre and project it: x and y in pixels, and its depth in metres.
 * The stored x points to the camera's left, z away from it: seen as the camera does, x grows to the left.
 */
function project(point, scene, view, width, height) {
  const [left, y, z] = point.map((value, axis) => value - scene.centre[axis]);
  const across = z * Math.sin(view.turn) - left * Math.cos(view.turn);
  const away = z * Math.cos(view.turn) + left * Math.sin(view.turn);
  const up = y * Math.cos(view.tilt) + away * Math.sin(view.tilt);
  const depth = away * Math.cos(view.tilt) - y * Math.sin(view.tilt);
  const distance = 3 * scene.radius;
  const scale = (Math.min(width, height) * 0.47 * distance) / (scene.radius * Math.max(distance + depth, 0.1));
  return { x: width / 2 + across * scale, y: height / 2 - up * scale, depth };
}

/** Make a canvas as sharp as the screen; return its context and its size in style pixels. */
function prepareCanvas(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return { context, width, height };
}

/**
 * Draw bodies on a canvas.
 * bodies: [{points: [[x, y, z], …], colours: [css, …], ringed: [bool, …] or null}].
 * Returns the joints' positions on the canvas, body after body.
 */
function drawBodies(canvas, bodies, parents, scene, view) {
  const { context, width, height } = prepareCanvas(canvas);
  const ink = styleColour("--ink");
  const positions = [];
  for (const body of bodies) {
    const dots = body.points.map((point) => project(point, scene, view, width, height));
    context.strokeStyle = styleColour("--bone");
    context.lineWidth = 2.5;
    context.beginPath();
    parents.forEach((parent, joint) => {
      context.moveTo(dots[parent].x, dots[parent].y);
      context.lineTo(dots[joint].x, dots[joint].y);
    });
    context.stroke();
    const order = Array.from(dots.keys()).sort((a, b) => dots[b].depth - dots[a].depth);
    for (const joint of order) {
      context.beginPath();
      context.arc(dots[joint].x, dots[joint].y, 5.5, 0, 2 * Math.PI);
      context.fillStyle = body.colours[joint];
      context.fill();
      context.lineWidth = 1;
      context.strokeStyle = ink;
      context.stroke();
      if (!body.ringed || !body.ringed[joint]) continue;
      context.beginPath();
      context.arc(dots[joint].x, dots[joint].y, 9, 0, 2 * Math.PI);
      context.lineWidth = 2.5;
      context.strokeStyle = styleColour("--accent");
      context.stroke();
    }
    positions.push(...dots);
  }
  return positions;
}

/** Call back with the angles by which the picture is to be turned when the user drags it. */
function followDrags(stage, turnBy) {
  let last = null;
  stage.addEventListener("pointerdown", (event) => {
    last = event;
    stage.setPointerCapture(event.pointerId);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!last) return;
    turnBy((event.clientX - last.clientX) * 0.01, (event.clientY - last.clientY) * 0.01);
    last = event;
  });
  stage.addEventListener("pointerup", () => (last = null));
  stage.addEventListener("pointercancel", () => (last = null));
}
