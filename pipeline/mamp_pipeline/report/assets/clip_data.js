// Owns what a clip says: its unpacked arrays, which segment a frame falls into, and its description in words.
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
