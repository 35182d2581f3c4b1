// The picture by WebGL2: raw-RGB as 16-bit integers in a texture, the look in the shader.

import { HIGHLIGHT_RANGE, HIGHLIGHT_STOPS, OVERLAY, SENSOR_WHITE, TONE_SHOULDER, VIRIDIS, factors } from "./look.js";

const VERTEX = `#version 300 es
void main() { gl_Position = vec4(vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4. - 1., 0, 1); }`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp usampler2D;
uniform usampler2D raw;
uniform sampler2D srgb, reliability;
uniform vec3 gains, factors, viridis[${VIRIDIS.length}];
uniform mat3 matrix;
uniform float highlights, split, overlay;
out vec4 shown;

vec3 encode(vec3 x) {
  return mix(12.92 * x, 1.055 * pow(max(x, 1e-8), vec3(1. / 2.4)) - .055, greaterThan(x, vec3(.0031308)));
}
vec3 decode(vec3 x) { return mix(x / 12.92, pow((x + .055) / 1.055, vec3(2.4)), greaterThan(x, vec3(.04045))); }
vec3 dialled(vec3 x) {
  vec3 light = x * factors;
  float stops = log2(max(dot(light, vec3(.25, .5, .25)), 1e-6));
  float weight = smoothstep(float(${HIGHLIGHT_RANGE[0]}), float(${HIGHLIGHT_RANGE[1]}), stops);
  return clamp(light * exp2(highlights * float(${HIGHLIGHT_STOPS}) * weight), 0., 1.);
}
vec3 develop(ivec2 at) {
  vec3 x = vec3(texelFetch(raw, at, 0).rgb) / 65535.;
  vec3 balanced = x * gains;
  float clipped = smoothstep(${SENSOR_WHITE}, 1., max(max(x.r, x.g), x.b));
  balanced -= clipped * max(balanced - 1., 0.);
  vec3 linear = clamp(matrix * dialled(balanced), 0., 1.);
  const float shoulder = float(${TONE_SHOULDER});
  return encode(linear * (1. + shoulder) / (linear + shoulder));
}
void main() {
  ivec2 size = textureSize(raw, 0);
  ivec2 at = ivec2(int(gl_FragCoord.x), size.y - 1 - int(gl_FragCoord.y));
  bool jpeg = float(at.x) < split * float(size.x);
  vec3 colour = jpeg ? encode(dialled(decode(texelFetch(srgb, at, 0).rgb))) : develop(at);
  float place = texelFetch(reliability, at, 0).r * float(${VIRIDIS.length - 1});
  int i = min(int(place), ${VIRIDIS.length - 2});
  colour = mix(colour, mix(viridis[i], viridis[i + 1], place - float(i)), jpeg ? 0. : overlay * ${OVERLAY});
  shown = vec4(colour, 1);
}`;

/** A renderer, or null where there is no WebGL2 or the picture is larger than its textures. */
export function glRenderer(canvas, view) {
  const gl = canvas.getContext("webgl2", { antialias: false, alpha: false, preserveDrawingBuffer: true });
  if (!gl || gl.getParameter(gl.MAX_TEXTURE_SIZE) < Math.max(view.width, view.height)) return null;
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
    console.warn(gl.getProgramInfoLog(program));
    return null;
  }
  gl.useProgram(program);
  const at = (name) => gl.getUniformLocation(program, name);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  const texture = (unit, name, inside, format, type, data) => {
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texImage2D(gl.TEXTURE_2D, 0, inside, view.width, view.height, 0, format, type, data);
    for (const side of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, side, gl.NEAREST);
    gl.uniform1i(at(name), unit);
  };
  texture(0, "raw", gl.RGB16UI, gl.RGB_INTEGER, gl.UNSIGNED_SHORT, view.raw);
  texture(1, "srgb", gl.RGB8, gl.RGB, gl.UNSIGNED_BYTE, view.srgb);
  texture(2, "reliability", gl.R8, gl.RED, gl.UNSIGNED_BYTE, view.reliability);
  gl.uniform3fv(at("gains"), view.gains);
  gl.uniformMatrix3fv(at("matrix"), true, view.matrix.flat());
  gl.uniform3fv(at("viridis"), VIRIDIS.flat().map((code) => code / 255));
  return {
    name: "webgl2",
    draw(look, split, overlay) {
      gl.viewport(0, 0, view.width, view.height);
      gl.uniform3fv(at("factors"), factors(look));
      gl.uniform1f(at("highlights"), look.highlights);
      gl.uniform1f(at("split"), split);
      gl.uniform1f(at("overlay"), overlay ? 1 : 0);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    },
  };
}
