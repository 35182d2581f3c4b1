// Histograms of what is shown: the RAW filled, the JPEG as lines, a colour a channel.

import { adjuster, developer } from "./look.js";

const BINS = 64; // of 4 codes each
const SAMPLES = 24000;
const COLOURS = ["255, 92, 80", "92, 214, 120", "96, 148, 255"];

/** Draw both into the canvas; returns the parts of the pixels that are white, {jpeg, raw}. */
export function drawHistogram(canvas, view, look) {
  const pixels = view.width * view.height;
  const step = Math.max(1, Math.floor(pixels / SAMPLES)) | 1; // odd: no column of the picture is met again and again
  const raw = count(developer(view, look), pixels, step), jpeg = count(adjuster(view, look), pixels, step);
  const context = canvas.getContext("2d");
  const { width: W, height: H } = canvas;
  context.clearRect(0, 0, W, H);
  context.strokeStyle = "#ffffff14";
  for (const part of [0.25, 0.5, 0.75]) line(context, [[part * W, 0], [part * W, H]]);
  const bins = [...raw.bins, ...jpeg.bins].flatMap((channel) => [...channel.subarray(1, BINS - 1)]);
  const top = Math.max(1, ...bins) * 1.06;
  const points = (channel) =>
    Array.from(channel, (n, i) => [(i / (BINS - 1)) * W, H - 2 - (H - 8) * Math.min(1, n / top) ** 0.75]);
  context.globalCompositeOperation = "lighter";
  raw.bins.forEach((channel, c) => {
    context.fillStyle = `rgba(${COLOURS[c]}, 0.42)`;
    context.beginPath();
    context.moveTo(0, H);
    for (const [x, y] of points(channel)) context.lineTo(x, y);
    context.lineTo(W, H);
    context.fill();
  });
  context.lineWidth = 2.5;
  jpeg.bins.forEach((channel, c) => {
    context.strokeStyle = `rgba(${COLOURS[c]}, 0.95)`;
    line(context, points(channel));
  });
  context.globalCompositeOperation = "source-over";
  return { jpeg: jpeg.white, raw: raw.white };
}

function count(colour, pixels, step) {
  const bins = COLOURS.map(() => new Uint32Array(BINS));
  const out = [0, 0, 0];
  let white = 0, seen = 0;
  for (let i = 0; i < pixels; i += step, seen++) {
    colour(i, out, 0);
    for (let c = 0; c < 3; c++) bins[c][Math.floor((out[c] * BINS) / 256)]++;
    if (Math.max(...out) >= 254) white++;
  }
  return { bins, white: white / seen };
}

function line(context, points) {
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
}
