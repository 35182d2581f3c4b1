// The look: exposure, highlights, warmth and tint on linear light. The same arithmetic as runtime/look.py (and as the
// shader in gl.js); tests compare all three.

export const HIGHLIGHT_STOPS = 2;
export const HIGHLIGHT_RANGE = [-3, 1];
export const SENSOR_WHITE = 0.9;
export const TONE_SHOULDER = 1;
export const OVERLAY = 0.78; // how much of the picture the reliability covers
export const REST = { exposure: 0, highlights: 0, warmth: 0, tint: 0 };

// Viridis (matplotlib), 0 to 1: perceptually even, readable without colour vision.
export const VIRIDIS = [
  [68, 1, 84], [72, 24, 106], [71, 45, 123], [66, 64, 134], [59, 82, 139], [51, 99, 141], [44, 114, 142], [38, 130, 142],
  [33, 145, 140], [31, 160, 136], [40, 174, 128], [63, 188, 115], [94, 201, 98], [132, 212, 75], [173, 220, 48],
  [216, 226, 25], [253, 231, 37],
];

/** (3,) factors on linear light, as `Look.factors` in Python. */
export function factors(look) {
  return [look.exposure + look.warmth / 2, look.exposure + look.tint, look.exposure - look.warmth / 2].map((s) => 2 ** s);
}

const clip = (x) => (x < 0 ? 0 : x > 1 ? 1 : x);
const smoothstep = (x) => ((x = clip(x)), x * x * (3 - 2 * x));
const encode = (x) => (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055);
const decode = (x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);

const STEPS = 1 << 16;
const DECODED = Float32Array.from({ length: 256 }, (_, code) => decode(code / 255));
const ENCODED = Uint8Array.from({ length: STEPS }, (_, i) => Math.round(255 * encode(i / (STEPS - 1))));
const TONED = Uint8Array.from({ length: STEPS }, (_, i) => {
  const x = i / (STEPS - 1);
  return Math.round(255 * encode((x * (1 + TONE_SHOULDER)) / (x + TONE_SHOULDER)));
});
const code = (table, x) => table[(clip(x) * (STEPS - 1) + 0.5) | 0];

function highlightGain(light, highlights) {
  if (!highlights) return 1;
  const stops = Math.log2(Math.max(light, 1e-6));
  const [low, high] = HIGHLIGHT_RANGE;
  return 2 ** (highlights * HIGHLIGHT_STOPS * smoothstep((stops - low) / (high - low)));
}

/** A function that writes the developed RAW of pixel i into out at o: 3 codes. `view` is what `fetchView` returns. */
export function developer(view, look) {
  const { raw, gains, matrix: m } = view;
  const f = factors(look);
  return (i, out, o) => {
    const r = raw[3 * i] / 65535, g = raw[3 * i + 1] / 65535, b = raw[3 * i + 2] / 65535;
    const clipped = smoothstep((Math.max(r, g, b) - SENSOR_WHITE) / (1 - SENSOR_WHITE));
    const light = (x, c) => {
      const balanced = x * gains[c];
      return (balanced - clipped * Math.max(balanced - 1, 0)) * f[c];
    };
    let R = light(r, 0), G = light(g, 1), B = light(b, 2);
    const gain = highlightGain(0.25 * R + 0.5 * G + 0.25 * B, look.highlights);
    R = clip(R * gain); G = clip(G * gain); B = clip(B * gain);
    for (let c = 0; c < 3; c++) out[o + c] = code(TONED, m[c][0] * R + m[c][1] * G + m[c][2] * B);
  };
}

/** The same for the photograph's own codes, as an editor turns the dials on a JPEG. */
export function adjuster(view, look) {
  const { srgb } = view;
  const f = factors(look);
  return (i, out, o) => {
    const R = DECODED[srgb[3 * i]] * f[0], G = DECODED[srgb[3 * i + 1]] * f[1], B = DECODED[srgb[3 * i + 2]] * f[2];
    const gain = highlightGain(0.25 * R + 0.5 * G + 0.25 * B, look.highlights);
    out[o] = code(ENCODED, R * gain); out[o + 1] = code(ENCODED, G * gain); out[o + 2] = code(ENCODED, B * gain);
  };
}

/** Colour of a reliability in [0, 1]. */
export function viridis(value) {
  const at = clip(value) * (VIRIDIS.length - 1);
  const i = Math.min(Math.floor(at), VIRIDIS.length - 2);
  return VIRIDIS[i].map((low, c) => low + (VIRIDIS[i + 1][c] - low) * (at - i));
}

/** Warmth and tint that make pixels around (x, y) grey; null where nothing can be told. */
export function greyAt(view, x, y) {
  const { raw, gains, width, height } = view;
  const sums = [0, 0, 0];
  for (let v = Math.max(0, y - 3); v <= Math.min(height - 1, y + 3); v++) {
    for (let u = Math.max(0, x - 3); u <= Math.min(width - 1, x + 3); u++) {
      for (let c = 0; c < 3; c++) sums[c] += raw[3 * (v * width + u) + c] * gains[c];
    }
  }
  const [r, g, b] = sums;
  if (!(r > 0 && g > 0 && b > 0)) return null;
  return { warmth: Math.log2(b / r), tint: Math.log2(Math.sqrt(r * b) / g) };
}
