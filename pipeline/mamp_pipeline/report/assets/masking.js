// Owns motion-aware masking (equations 5 and 6 of the paper): the same arithmetic as report/tokens.py, in float64.
"use strict";

const EPSILON = 1e-10;

/** Return each token's probability to be hidden first: softmax of its intensity over (largest · τ). */
function maskingProbability(intensity, temperature) {
  let largest = -Infinity;
  for (const value of intensity) largest = Math.max(largest, value);
  const weights = Float64Array.from(intensity, (value) => Math.exp(value / (largest * temperature + EPSILON)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** Return which tokens are hidden, 1 or 0: all but the int(L · (1 − ratio)) of the smallest scores. */
function hideTokens(probability, u, ratio) {
  const score = Float64Array.from(probability, (p, i) => Math.log(p) - Math.log(-Math.log(u[i] + EPSILON) + EPSILON));
  const order = Array.from(score.keys()).sort((a, b) => score[a] - score[b] || a - b);
  const hidden = new Uint8Array(score.length).fill(1);
  const kept = Math.trunc(score.length * (1 - ratio));
  for (const token of order.slice(0, kept)) hidden[token] = 0;
  return hidden;
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
