// The clip viewer: a clip playing, its tokens' probabilities, and a mask drawn at the selected ratio and τ.
"use strict";

/**
 * Set up the page's viewer.
 * root: the element of viewer.html; skeleton: {joints, parents}; wholePage: whether keys count wherever the focus is.
 */
function createViewer(root, skeleton, wholePage) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const joints = skeleton.joints.length;
  const state = { clip: null, frame: 0, playing: false, body: 0, seed: 1, view: { turn: 0, tilt: 0.12 } };

  function show(packed) {
    state.clip = unpackClip(packed);
    state.scene = measureScene(state.clip.joints, joints * 3);
    Object.assign(state, { frame: 0, body: 0, playing: false });
    part("name").textContent = state.clip.id;
    part("description").textContent = describeClip(state.clip);
    part("frame").max = state.clip.frames - 1;
    part("ratio").value = state.clip.ratio;
    part("temperature").value = state.clip.temperature;
    part("body").replaceChildren(
      ...Array.from({ length: state.clip.bodies }, (_, body) => element("option", `body ${body + 1}`, { value: body })),
    );
    part("body").hidden = state.clip.bodies === 1;
    part("jumps").replaceChildren(...listJumps(state.clip));
    part("largest").textContent = `${(state.clip.largest * 100).toFixed(1)} cm and more`;
    part("crop").textContent = describeCrop(state.clip);
    drawMask();
  }

  function drawMask() {
    const { clip } = state;
    const count = clip.tokens.length / clip.bodies;
    const intensity = clip.tokens.subarray(state.body * count, (state.body + 1) * count);
    const ratio = Number(part("ratio").value);
    const temperature = Number(part("temperature").value);
    Object.assign(state, maskTokens(intensity, drawUniform(count, state.seed), ratio, temperature));
    state.means = Array.from({ length: count / joints }, (_, segment) => {
      const row = intensity.subarray(segment * joints, (segment + 1) * joints);
      return row.reduce((sum, value) => sum + value, 0) / joints;
    });
    const masked = state.masked.reduce((sum, flag) => sum + flag, 0);
    part("ratio-value").textContent = ratio.toFixed(2);
    part("temperature-value").textContent = temperature.toFixed(2);
    const [low, high] = [Math.min(...state.probability), Math.max(...state.probability)];
    part("mask-summary").textContent =
      `${masked} of ${count} tokens masked, ${count - masked} kept. ` +
      `Probability from ${(low * 100).toFixed(3)} % (dark) to ${(high * 100).toFixed(3)} % (light).`;
    draw();
  }

  function draw() {
    const { clip, frame } = state;
    if (!clip) return;
    const segment = segmentOf(clip, frame);
    const shown = part("show-mask").checked;
    const bodies = [];
    state.drawn = [];
    for (let body = 0; body < clip.bodies; body++) {
      const start = (body * clip.frames + frame) * joints;
      if (!isSeen(clip.joints, start * 3, joints * 3)) continue;
      const indices = Array.from({ length: joints }, (_, joint) => start + joint);
      bodies.push({
        points: indices.map((i) => clip.joints.subarray(3 * i, 3 * i + 3)).map((point) => Array.from(point)),
        colours: indices.map((i) => viridis(clip.intensity[i] / clip.largest)),
        ringed:
          shown && body === state.body && segment >= 0
            ? Array.from(state.masked.subarray(segment * joints, (segment + 1) * joints), (masked) => !masked)
            : null,
      });
    }
    state.drawn = drawBodies(part("stage"), bodies, skeleton.parents, state.scene, state.view);
    part("nobody").hidden = bodies.length > 0;
    part("frame").value = frame;
    part("counter").textContent = `frame ${frame + 1} / ${clip.frames}`;
    part("segment").textContent = segment < 0 ? "outside of the crop" : `segment ${segment + 1} / ${state.means.length}`;
    part("play").textContent = state.playing ? "Pause" : "Play";
    drawTimeLine(part("time-line"), state.means, segment);
    drawTokens(part("tokens"), state.probability, skeleton.joints, state.means.length, shown ? state.masked : null, segment);
  }

  function goTo(frame) {
    state.frame = (frame + state.clip.frames) % state.clip.frames;
    draw();
  }

  function play(playing) {
    state.playing = playing;
    draw();
    if (!playing) return;
    const began = performance.now();
    const first = state.frame;
    const clip = state.clip;
    const tick = (now) => {
      if (!state.playing || state.clip !== clip) return;
      const frame = (first + Math.max(0, Math.floor(((now - began) / 1000) * clip.fps))) % clip.frames;
      if (frame !== state.frame) goTo(frame);
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  function stepTo(frame) {
    state.playing = false;
    goTo(frame);
  }

  function turnBy(turn, tilt) {
    state.view.turn += turn;
    state.view.tilt = Math.min(Math.max(state.view.tilt + tilt, -1.5), 1.5);
    draw();
  }

  function drawAgain() {
    state.seed += 1;
    drawMask();
  }

  const keys = {
    " ": () => play(!state.playing),
    ArrowLeft: (event) => (event.shiftKey ? turnBy(-0.1, 0) : stepTo(state.frame - 1)),
    ArrowRight: (event) => (event.shiftKey ? turnBy(0.1, 0) : stepTo(state.frame + 1)),
    ArrowUp: (event) => event.shiftKey && turnBy(0, 0.1),
    ArrowDown: (event) => event.shiftKey && turnBy(0, -0.1),
    Home: () => stepTo(0),
    End: () => stepTo(state.clip.frames - 1),
    n: drawAgain,
  };

  document.addEventListener("keydown", (event) => {
    const control = event.target.closest("input, select, button, a, summary");
    const meant = wholePage || root.contains(event.target);
    if (!meant || control || event.ctrlKey || event.metaKey || event.altKey || !state.clip || !keys[event.key]) return;
    if (keys[event.key](event) !== false) event.preventDefault();
  });
  part("play").addEventListener("click", () => play(!state.playing));
  part("back").addEventListener("click", () => stepTo(state.frame - 1));
  part("forward").addEventListener("click", () => stepTo(state.frame + 1));
  part("frame").addEventListener("input", () => stepTo(Number(part("frame").value)));
  part("ratio").addEventListener("input", drawMask);
  part("temperature").addEventListener("input", drawMask);
  part("draw").addEventListener("click", drawAgain);
  part("show-mask").addEventListener("change", draw);
  part("body").addEventListener("change", () => {
    state.body = Number(part("body").value);
    drawMask();
  });
  part("jumps").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) stepTo(Number(button.dataset.frame));
  });
  for (const name of ["time-line", "tokens"]) {
    part(name).addEventListener("click", (event) => {
      const segment = segmentAt(part(name), event.clientX, state.means.length);
      if (segment >= 0) stepTo(firstFrameOf(state.clip, segment));
    });
  }
  followDrags(part("stage"), turnBy);
  new ResizeObserver(draw).observe(part("stage"));
  onThemeChange(draw);
  return { show, state };
}
