"use strict";
/* Point clouds that can be turned: each canvas of the class "cloud" holds its points in data-cloud, as records of
   x, y, z (int16, times data-unit), red, green, blue and a byte that is not used; x is right, y down, z ahead. */
for (const canvas of document.querySelectorAll("canvas.cloud")) {
  const bytes = Uint8Array.from(atob(canvas.dataset.cloud), c => c.charCodeAt(0));
  const view = new DataView(bytes.buffer), count = Math.floor(bytes.length / 10), unit = Number(canvas.dataset.unit);
  const xyz = new Float32Array(3 * count), rgb = new Uint8Array(3 * count);
  for (let i = 0; i < count; i++) for (let k = 0; k < 3; k++) {
    xyz[3 * i + k] = view.getInt16(10 * i + 2 * k, true) * unit;
    rgb[3 * i + k] = bytes[10 * i + 6 + k];
  }
  const gl = canvas.getContext("webgl");
  if (!gl) {
    canvas.replaceWith("This browser shows no WebGL, which the point cloud needs.");
    continue;
  }
  const shader = (kind, text) => {
    const made = gl.createShader(kind);
    gl.shaderSource(made, text);
    gl.compileShader(made);
    return made;
  };
  const program = gl.createProgram();
  gl.attachShader(program, shader(gl.VERTEX_SHADER, `
    attribute vec3 p; attribute vec3 c; uniform vec2 turn; uniform float pivot, zoom, aspect, size; varying vec3 color;
    void main() {
      vec3 q = p - vec3(0.0, 0.0, pivot);
      float cy = cos(turn.x), sy = sin(turn.x), cx = cos(turn.y), sx = sin(turn.y);
      q = vec3(cy * q.x + sy * q.z, q.y, -sy * q.x + cy * q.z);
      q = vec3(q.x, cx * q.y - sx * q.z, sx * q.y + cx * q.z);
      float depth = q.z + zoom;
      gl_Position = vec4(1.7 * q.x / aspect, -1.7 * q.y, depth - 0.01 * pivot, depth);
      gl_PointSize = max(1.5, size * pivot / max(depth, 0.07 * pivot)); color = c;
    }`));
  gl.attachShader(program, shader(gl.FRAGMENT_SHADER, `
    precision mediump float; varying vec3 color; void main() { gl_FragColor = vec4(color, 1.0); }`));
  gl.linkProgram(program);
  gl.useProgram(program);
  const feed = (name, data, type, normalized) => {
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    const place = gl.getAttribLocation(program, name);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, 3, type, normalized, 0, 0);
  };
  feed("p", xyz, gl.FLOAT, false);
  feed("c", rgb, gl.UNSIGNED_BYTE, true);
  gl.enable(gl.DEPTH_TEST);
  gl.clearColor(0.07, 0.06, 0.11, 1);
  /* It turns around a point ahead of the camera, at one and a half times the median depth. */
  const depths = xyz.filter((_, i) => i % 3 === 2).sort(), pivot = 1.5 * depths[count >> 1] || 1;
  let turn = [0.35, 0.3], zoom = 1.6, pointers = new Map(), spread = 0;
  const draw = () => {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const set = (name, ...v) => gl["uniform" + v.length + "f"](gl.getUniformLocation(program, name), ...v);
    set("turn", ...turn);
    set("pivot", pivot);
    set("zoom", zoom * pivot);
    set("aspect", canvas.width / canvas.height);
    set("size", 0.009 * canvas.height);
    gl.drawArrays(gl.POINTS, 0, count);
  };
  const turnBy = (x, y) => {
    turn = [turn[0] + x, Math.min(1.5, Math.max(-1.5, turn[1] + y))];
    draw();
  };
  const zoomBy = factor => {
    zoom = Math.min(6, Math.max(0.3, zoom * factor));
    draw();
  };
  const keys = {
    ArrowLeft: () => turnBy(-0.1, 0), ArrowRight: () => turnBy(0.1, 0),
    ArrowUp: () => turnBy(0, -0.1), ArrowDown: () => turnBy(0, 0.1),
    "+": () => zoomBy(0.9), "=": () => zoomBy(0.9), "-": () => zoomBy(1.1),
  };
  canvas.addEventListener("keydown", e => {
    if (!(e.key in keys) || e.ctrlKey || e.metaKey) return;
    e.preventDefault();
    keys[e.key]();
  });
  canvas.addEventListener("pointerdown", e => {
    canvas.focus({ preventScroll: true });
    pointers.set(e.pointerId, e);
    canvas.setPointerCapture(e.pointerId);
  });
  canvas.addEventListener("pointermove", e => {
    if (!pointers.has(e.pointerId)) return;
    const before = pointers.get(e.pointerId);
    pointers.set(e.pointerId, e);
    if (pointers.size === 2) {
      const [a, b] = [...pointers.values()], now = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
      if (spread) zoomBy(spread / now);
      spread = now;
      return;
    }
    turnBy(0.006 * (e.clientX - before.clientX), 0.006 * (e.clientY - before.clientY));
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, e => { pointers.delete(e.pointerId); spread = 0; });
  canvas.addEventListener("wheel", e => {
    if (document.activeElement !== canvas) return;  /* the page scrolls over a cloud that nobody has clicked */
    e.preventDefault();
    zoomBy(Math.exp(e.deltaY / 600));
  }, { passive: false });
  window.addEventListener("resize", draw);
  draw();
  document.documentElement.dataset.points = Number(document.documentElement.dataset.points || 0) + count;
}
