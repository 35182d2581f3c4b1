// The picture by a plain 2D canvas, where there is no WebGL2: the same codes, a tenth of a second a drawing.

import { OVERLAY, adjuster, developer, viridis } from "./look.js";

const COLOURS = Uint8Array.from({ length: 256 * 3 }, (_, i) => Math.round(viridis(Math.floor(i / 3) / 255)[i % 3]));

export function canvasRenderer(canvas, view) {
  const context = canvas.getContext("2d", { alpha: false });
  const picture = context.createImageData(view.width, view.height);
  const out = picture.data.fill(255);
  return {
    name: "canvas",
    draw(look, split, overlay) {
      const jpeg = adjuster(view, look), raw = developer(view, look);
      const edge = Math.ceil(split * view.width);
      for (let y = 0, i = 0; y < view.height; y++) {
        for (let x = 0; x < view.width; x++, i++) (x < edge ? jpeg : raw)(i, out, 4 * i);
      }
      if (overlay) {
        for (let i = 0; i < view.reliability.length; i++) {
          if (i % view.width < edge) continue;
          for (let c = 0; c < 3; c++) {
            out[4 * i + c] += (COLOURS[3 * view.reliability[i] + c] - out[4 * i + c]) * OVERLAY;
          }
        }
      }
      context.putImageData(picture, 0, 0);
    },
  };
}
