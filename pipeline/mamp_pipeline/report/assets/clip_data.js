// A clip's data: its unpacked arrays, the segment of a frame, masks of its tokens, and its description in words.
"use strict";

function bytesOf(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
}

/** Unpack a clip: positions (M, F, V, 3) in metres, intensities (M, F, V) and those of tokens (M, Te, V). */
function unpackClip(packed) {
  const steps = packed.extent / 32767;
  const share = packed.largest / 255;
  return {
    ...packed,
    joints: Float32Array.from(new Int16Array(bytesOf(packed.joints)), (value) => value * steps),
    intensity: Float32Array.from(new Uint8Array(bytesOf(packed.intensity)), (value) => value * share),
    tokens: new Float32Array(bytesOf(packed.tokens)),
  };
}

/** Return the segment of the sample that a frame of the clip falls into, -1 outside of the crop. */
function segmentOf(clip, frame) {
  const { start, length, frames, segment } = clip.sample;
  if (frame < start || frame >= start + length) return -1;
  return Math.floor(((frame - start + 0.5) * frames) / length / segment);
}

/** Return the first frame of the clip that falls into a segment, or the nearest before where none does. */
function firstFrameOf(clip, segment) {
  const { start, length, frames, segment: size } = clip.sample;
  const first = start + Math.ceil((segment * size * length) / frames - 0.5);
  return Math.min(Math.max(first, start), start + length - 1);
}

const EPSILON = 1e-10;

/**
 * Mask tokens as mamp_pipeline.motion does (equations 5 and 6 of the paper), in float64: the only equations that a page
 * computes, so that any ratio and temperature can be tried. tests/pages holds it to the NumPy reference.
 * intensity: of each token, in metres; u: a draw from U(0, 1) for each token.
 * Returns each token's probability to be masked first (softmax of intensity over largest intensity times temperature),
 * and which tokens are masked, 1 or 0: all but the int(L · (1 − ratio)) of the smallest scores.
 */
function maskTokens(intensity, u, ratio, temperature) {
  const largest = intensity.reduce((one, other) => Math.max(one, other), -Infinity);
  const weights = Float64Array.from(intensity, (value) => Math.exp(value / (largest * temperature + EPSILON)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const probability = weights.map((weight) => weight / total);
  const score = probability.map((p, i) => Math.log(p) - Math.log(-Math.log(u[i] + EPSILON) + EPSILON));
  const order = Array.from(score.keys()).sort((a, b) => score[a] - score[b] || a - b);
  const masked = new Uint8Array(score.length).fill(1);
  for (const token of order.slice(0, Math.trunc(score.length * (1 - ratio)))) masked[token] = 0;
  return { probability, masked };
}

/** Return `count` draws from U(0, 1) that a seed determines (the generator mulberry32). */
function drawUniform(count, seed) {
  let state = seed >>> 0;
  return Float64Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  });
}

function describeClip(clip) {
  const numbers = Object.entries(clip.numbers).map(([name, value]) => `${name} ${value}`);
  const bodies = clip.bodies === 1 ? "1 body" : `${clip.bodies} bodies`;
  const valid = clip.valid === clip.frames ? "" : `, ${clip.valid} of them valid`;
  return [`class ${clip.label}`, ...numbers, `${clip.frames} frames${valid}`, bodies].join(" · ");
}

function describeCrop(clip) {
  const { start, length, frames, segment, share } = clip.sample;
  return (
    `Tokens are those of a test sample: the middle ${Math.round(share * 100)} % of the valid frames, ` +
    `${start + 1} to ${start + length}, resized to ${frames}; a token is one joint in ${segment} of these.`
  );
}

function listJumps(clip) {
  const shown = clip.jumps.slice(0, 8).map((jump) =>
    element("button", `frame ${jump.frame + 1}: ${jump.joint} ${jump.metres.toFixed(2)} m`, {
      type: "button",
      "data-frame": jump.frame,
    }),
  );
  if (!shown.length) return [element("span", "none")];
  const more = clip.jumps.length - shown.length;
  return more ? [...shown, element("span", `and ${more} more`)] : shown;
}
