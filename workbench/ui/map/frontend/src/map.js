// Latent maps: the same items in several spaces, one selection. What is chosen lights up here at
// once; Python hears of it afterwards, for its tables and the link.

import { createRenderer } from "regl-scatterplot";
import { Controls } from "./controls.js";
import { Panel } from "./panel.js";
import { readView, writeView } from "./link.js";
import { rowsInside, rowsWith, shuffled } from "./rows.js";
import { unpack } from "./unpack.js";
import style from "./map.css";

const ON_A_GPU = 2_000_000; // points drawn in a panel at once
const IN_SOFTWARE = 10_000;
const SLOW = /swiftshader|llvmpipe|software|basic render/i;
const LARGEST_SIDE = 470;
const SMALLEST_SIDE = 200;
const GAP = 12;
const SENT_AFTER = 400; // milliseconds of rest before Python hears of a selection

class Maps {
  constructor(root, data, tell) {
    Object.assign(this, { root, data, tell });
    root.dataset.rows = String(data.rows);
    this.look = { find: "", lasso: null, points: [], ...data.look };
    this.renderer = createRenderer({ canvas: document.createElement("canvas") });
    const budget = isSoftware(this.renderer) ? IN_SOFTWARE : ON_A_GPU;
    const order = shuffled(data.rows);
    this.panels = data.spaces.map((_, index) => new Panel({
      renderer: this.renderer, data, index, order, budget,
      onHover: (row) => this.hover(row),
      onClick: (row) => this.ask(row),
      onLasso: (space, polygon) => this.choose({ ...this.look, points: [], lasso: { space, polygon } }),
      onClear: () => this.clear(),
      onView: () => writeView(this.panels),
    }));
    this.controls = new Controls(data, {
      onFind: (find) => this.choose({ ...this.look, find }),
      onMode: (mode) => this.panels.forEach((panel) => panel.plot.set({ mouseMode: mode })),
      onWhole: () => this.panels.forEach((panel) => panel.look({ x: 0, y: 0, zoom: 1 })),
      onClear: () => this.clear(),
      onPath: (path) => this.panels.forEach((panel) => { panel.path = path; panel.paint(); }),
      onAsk: (row) => this.ask(row),
      onPicture: () => this.savePicture(),
      onHover: (row) => this.hover(row),
    });
    this.grid = document.createElement("div");
    this.grid.className = "panels";
    this.grid.append(...this.panels.map((panel) => panel.root));
    this.root.append(this.controls.top, this.grid, this.controls.bottom);
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.root);
    this.open();
  }

  async open() {
    this.resize();
    readView(this.panels);
    this.show();
    await Promise.all(this.panels.map((panel) => panel.draw()));
    this.root.dataset.ready = String(Math.round(performance.now() - this.data.start));
  }

  resize() {
    const width = this.root.clientWidth;
    if (!width || width === this.width) return;
    this.width = width;
    const fit = Math.floor((width + GAP) / (SMALLEST_SIDE + GAP));
    const columns = Math.max(1, Math.min(this.panels.length, fit));
    const side = Math.min(LARGEST_SIDE, Math.floor((width - GAP * (columns - 1)) / columns));
    this.grid.style.gridTemplateColumns = `repeat(${columns}, ${side}px)`;
    this.renderer.resize(side, side);
    this.panels.forEach((panel) => panel.resize(side));
  }

  get chosen() {
    const { find, lasso, points } = this.look;
    const space = lasso && this.data.spaces.find((one) => one.name === lasso.space);
    const inside = space ? rowsInside(space, lasso.polygon) : [];
    const found = rowsWith(find, this.data.names, this.data.name);
    return [...new Set([...inside, ...points, ...found])].sort((a, b) => a - b);
  }

  show() {
    const chosen = this.chosen;
    this.panels.forEach((panel) => panel.choose(chosen));
    this.controls.list(chosen, this.look);
    this.root.dataset.chosen = String(chosen.length);
  }

  choose(look) {
    this.look = look;
    this.show();
    clearTimeout(this.sending);
    this.sending = setTimeout(() => this.tell.look(look), SENT_AFTER);
  }

  clear() {
    const { find, lasso, points } = this.look;
    if (find || lasso || points.length) this.choose({ find: "", lasso: null, points: [] });
  }

  hover(row) {
    this.root.dataset.hovered = String(row);
    this.panels.forEach((panel) => { panel.hovered = row; panel.paint(); });
    this.controls.tell(row);
  }

  ask(row) {
    this.panels.forEach((panel) => {
      panel.asked = row;
      panel.near = [];
      panel.answer.textContent = "…";
      panel.light();
      panel.paint();
    });
    this.tell.asked(row);
  }

  // Python's answer: the nearest items in each space itself, not on its map.
  answer({ asked, near }) {
    this.panels.forEach((panel) => {
      const found = near[panel.space.name] ?? [];
      panel.asked = asked ?? -1;
      panel.near = found.map(([row]) => row);
      this.controls.listNear(panel.answer, panel.asked, found);
      panel.paint();
    });
    this.root.dataset.answered = String(asked);
  }

  savePicture() {
    const ratio = window.devicePixelRatio;
    const [first] = this.panels;
    const head = 28;
    const canvas = document.createElement("canvas");
    canvas.width = (first.side + GAP) * this.panels.length * ratio;
    canvas.height = (first.side + head) * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.fillStyle = this.data.surface.paper;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    this.panels.forEach((panel, place) => {
      const left = place * (first.side + GAP);
      pen.fillStyle = this.data.surface.text;
      pen.font = "600 14px system-ui, sans-serif";
      pen.fillText(panel.space.title, left + 6, 18);
      panel.layers.forEach((layer) => pen.drawImage(layer, left, head, first.side, first.side));
    });
    canvas.toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${this.data.file}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }

  destroy() {
    clearTimeout(this.sending);
    this.watcher.disconnect();
    this.panels.forEach((panel) => panel.destroy());
    this.renderer.destroy();
  }
}

function isSoftware({ regl }) {
  const gl = regl._gl;
  const known = gl.getExtension("WEBGL_debug_renderer_info");
  return SLOW.test(String(gl.getParameter(known ? known.UNMASKED_RENDERER_WEBGL : gl.RENDERER)));
}

// Whether this browser can draw with WebGL, and numbers of floating point in it.
function canDraw() {
  const gl = document.createElement("canvas").getContext("webgl");
  const is = Boolean(gl && gl.getExtension("OES_texture_float") && gl.getExtension("OES_standard_derivatives"));
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return is;
}

const SHOWN = new WeakMap();

function isSame(a, b) {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

// Streamlit calls this after every rerun, and what it returns when the map leaves the page.
export default function show({ data, parentElement, setStateValue, setTriggerValue }) {
  const tell = {
    look: (look) => setStateValue("look", look),
    asked: (row) => setTriggerValue("asked", row),
  };
  const leave = () => {
    SHOWN.get(parentElement)?.close();
    SHOWN.delete(parentElement);
  };
  const shown = SHOWN.get(parentElement);
  if (shown && isSame(shown.bytes, data)) {
    Object.assign(shown.maps.tell, tell);
    return leave;
  }
  leave();
  if (canDraw()) {
    const start = performance.now();
    const unpacked = { ...unpack(data), start };
    if (shown?.maps.data.key === unpacked.key) unpacked.look = shown.maps.look;
    SHOWN.set(parentElement, { bytes: data, ...mount(parentElement, unpacked, tell) });
  } else setStateValue("webgl", "none");
  return leave;
}

function mount(parentElement, data, tell) {
  const root = document.createElement("section");
  root.className = "maps";
  const sheet = document.createElement("style");
  sheet.textContent = style;
  parentElement.append(sheet, root);
  for (const [name, colour] of Object.entries(data.surface)) root.style.setProperty(`--${name}`, colour);
  const maps = new Maps(root, data, tell);
  const answered = (window.latentMapReplies ??= {})[data.key];
  const listen = ({ detail }) => { if (detail.key === data.key) maps.answer(detail); };
  window.addEventListener("latent-map-reply", listen);
  if (answered) maps.answer(answered);
  const close = () => {
    window.removeEventListener("latent-map-reply", listen);
    maps.destroy();
    root.remove();
    sheet.remove();
  };
  return { maps, close };
}
