// One space: its density below, its points, and above them labels, rings and paths.

import createScatterplot from "regl-scatterplot";
import { density, rowsInView, roundedPolygon } from "./rows.js";

const REST = 250; // milliseconds after which a moved view is redrawn
const ECHO = 300; // milliseconds
const MOST_MARKED = 500;
const FAR_OUT = 3; // magnification up to which labels and density are shown

export class Panel {
  constructor({ renderer, data, index, order, budget, onHover, onClick, onLasso, onClear, onView }) {
    Object.assign(this, { data, order, budget, onClick, onView });
    this.space = data.spaces[index];
    this.rings = [];
    this.near = [];
    this.path = -1;
    this.hovered = -1;
    this.chosen = [];
    this.isLassoing = false;
    this.root = document.createElement("figure");
    this.title = document.createElement("figcaption");
    this.title.textContent = this.space.title;
    this.stage = document.createElement("div");
    this.stage.className = "stage";
    this.layers = ["under", "plot", "over"].map((name) => {
      const canvas = document.createElement("canvas");
      canvas.className = name;
      return canvas;
    });
    [this.under, this.canvas, this.over] = this.layers;
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute(
      "aria-label",
      `Map of ${this.space.title}. Arrow keys move it, plus and minus zoom, 0 shows all of it.`,
    );
    this.answer = document.createElement("p");
    this.answer.className = "near";
    this.stage.append(...this.layers);
    this.root.append(this.title, this.stage, this.answer);
    this.grid = density(this.space);
    this.cloud = cloudOf(this.grid, data.surface.muted);
    this.plot = createScatterplot({
      renderer,
      canvas: this.canvas,
      width: 10,
      height: 10,
      aspectRatio: 1,
      colorBy: "valueA",
      pointColor: data.colours,
      pointColorActive: data.surface.text,
      pointColorHover: data.surface.text,
      backgroundColor: data.surface.paper,
      lassoColor: data.surface.text,
      lassoInitiator: false,
      actionKeyMap: { lasso: "shift" },
      showReticle: false,
      opacityInactiveMax: 0.35,
      opacityInactiveScale: 0.5,
      pointSizeSelected: 1,
      pointOutlineWidth: 1,
    });
    this.plot.subscribe("pointOver", (place) => onHover(this.drawn[place]));
    this.plot.subscribe("pointOut", () => onHover(-1));
    this.plot.subscribe("lassoStart", () => { this.isLassoing = true; });
    this.plot.subscribe("lassoEnd", ({ coordinates }) => {
      this.isLassoing = false;
      this.lassoed = performance.now();
      if (coordinates.length > 2) onLasso(this.space.name, roundedPolygon(coordinates));
    });
    this.plot.subscribe("select", ({ points }) => this.clicked(points));
    this.plot.subscribe("deselect", () => (this.isEchoOfLasso ? this.light() : onClear()));
    this.plot.subscribe("view", () => this.moved());
    this.canvas.addEventListener("keydown", (event) => this.pressed(event));
  }

  // Letting go of the mouse at the end of a lasso is a click too, which is not meant.
  get isEchoOfLasso() { return performance.now() - (this.lassoed ?? -ECHO) < ECHO; }

  clicked(points) {
    if (this.isLassoing) return;
    if (this.isEchoOfLasso) this.light();
    else if (points.length === 1) this.onClick(this.drawn[points[0]]);
  }

  get view() { return this.plot.get("camera").view; }

  get magnification() { return Math.abs(this.view[0]); }

  resize(side) {
    this.side = side;
    const ratio = window.devicePixelRatio;
    this.stage.style.width = this.stage.style.height = `${side}px`;
    for (const layer of [this.under, this.over]) {
      layer.width = layer.height = Math.round(side * ratio);
      layer.style.width = layer.style.height = `${side}px`;
    }
    this.plot.set({ width: side, height: side });
    this.paint();
  }

  // Draw the chosen rows and, up to the budget, a fair sample of the others in view.
  async draw() {
    if (this.isDrawing) { this.isAskedAgain = true; return; }
    this.isDrawing = true;
    const all = this.data.rows <= this.budget;
    const rows = all ? this.order : withFirst(this.chosen, this.inView(), this.budget);
    this.drawn = rows;
    const pick = (from) => Float32Array.from(rows, (row) => from[row]);
    this.plot.set({ pointSize: sizeOf(rows.length), opacity: opacityOf(rows.length) });
    await this.plot.draw(
      { x: pick(this.space.x), y: pick(this.space.y), valueA: pick(this.space.colour) },
      { zDataType: "categorical", preventFilterReset: true },
    );
    this.isDrawing = false;
    if (this.isGone) return;
    if (this.isAskedAgain) { this.isAskedAgain = false; await this.draw(); return; }
    this.light();
    this.paint();
  }

  inView() {
    const [left, top] = this.fromPixels(-0.1 * this.side, -0.1 * this.side);
    const [right, bottom] = this.fromPixels(1.1 * this.side, 1.1 * this.side);
    return rowsInView(this.space, this.order, [left, bottom, right, top], this.budget);
  }

  choose(rows) {
    this.chosen = rows;
    if (this.data.rows > this.budget) this.draw();
    else this.light();
  }

  light() {
    if (!this.drawn) return;
    if (!this.chosen.length) {
      this.plot.deselect({ preventEvent: true });
      this.paint();
      return;
    }
    const wanted = new Set(this.chosen);
    const places = [];
    for (let place = 0; place < this.drawn.length; place++) if (wanted.has(this.drawn[place])) places.push(place);
    this.plot.select(places, { preventEvent: true });
    this.paint();
  }

  moved() {
    this.paint();
    clearTimeout(this.rest);
    this.rest = setTimeout(() => {
      if (this.data.rows > this.budget) this.draw();
      this.onView();
    }, REST);
  }

  pressed(event) {
    const step = 0.15 / this.magnification;
    const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const zooms = { "+": 1.25, "=": 1.25, "-": 0.8 };
    const { x, y, zoom } = this.where();
    if (moves[event.key]) this.look({ x: x - moves[event.key][0], y: y - moves[event.key][1], zoom });
    else if (zooms[event.key]) this.look({ x, y, zoom: zoom * zooms[event.key] });
    else if (event.key === "0") this.look({ x: 0, y: 0, zoom: 1 });
    else return;
    event.preventDefault();
  }

  // The middle of the view and its magnification: what a link holds.
  where() {
    const zoom = this.magnification;
    return { x: -this.view[12] / zoom, y: -this.view[13] / zoom, zoom };
  }

  look({ x, y, zoom }) {
    const view = new Float32Array([zoom, 0, 0, 0, 0, zoom, 0, 0, 0, 0, 1, 0, -x * zoom, -y * zoom, 0, 1]);
    this.plot.view(view);
  }

  toPixels(x, y) {
    const view = this.view;
    return [
      ((view[0] * x + view[12] + 1) / 2) * this.side,
      ((1 - (view[5] * y + view[13])) / 2) * this.side,
    ];
  }

  fromPixels(left, top) {
    const view = this.view;
    return [
      ((left / this.side) * 2 - 1 - view[12]) / view[0],
      (1 - (top / this.side) * 2 - view[13]) / view[5],
    ];
  }

  paint() {
    if (!this.side) return;
    this.paintUnder();
    const pen = freshPen(this.over);
    const { surface } = this.data;
    if (this.magnification <= FAR_OUT) this.paintLabels(pen);
    if (this.space.paths[this.path]) this.paintPath(pen, this.space.paths[this.path]);
    if (this.chosen.length <= MOST_MARKED) for (const row of this.chosen) this.mark(pen, row);
    for (const [colour, width] of [[surface.paper, 5], [surface.text, 2]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width;
      for (const row of this.near) this.ring(pen, row, 5);
      if (this.asked >= 0) this.ring(pen, this.asked, 10);
      if (this.hovered >= 0) this.ring(pen, this.hovered, 8);
    }
  }

  paintUnder() {
    const pen = freshPen(this.under);
    const isSample = this.drawn && this.drawn.length < this.data.rows;
    if (!isSample || this.magnification > FAR_OUT) return;
    const [left, top] = this.toPixels(-1, 1);
    const size = this.side * this.magnification;
    pen.drawImage(this.cloud, left, top, size, size);
  }

  paintLabels(pen) {
    pen.font = `600 12px ${getComputedStyle(this.root).fontFamily}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineJoin = "round";
    pen.lineWidth = 4;
    const taken = [];
    for (const [x, y, text] of this.space.labels) {
      const half = pen.measureText(text).width / 2;
      const [middle, top] = this.toPixels(x, y);
      const isSeen = middle > 0 && middle < this.side && top > 0 && top < this.side;
      if (!isSeen) continue;
      const left = Math.min(Math.max(middle, half + 4), this.side - half - 4);
      const box = [left - half, top - 8, left + half, top + 8];
      if (taken.some((other) => overlap(box, other))) continue;
      taken.push(box);
      pen.strokeStyle = this.data.surface.paper;
      pen.fillStyle = this.data.surface.text;
      pen.strokeText(text, left, top);
      pen.fillText(text, left, top);
    }
  }

  // Every word's way from noise, thin; their mean, thick; the end as a dot.
  paintPath(pen, path) {
    const { moments, words } = path;
    const place = (moment, word) => moment * words + word;
    const line = (points, width, alpha) => {
      pen.globalAlpha = alpha;
      pen.lineWidth = width;
      pen.beginPath();
      points.forEach(([x, y]) => pen.lineTo(...this.toPixels(x, y)));
      pen.stroke();
      pen.beginPath();
      pen.arc(...this.toPixels(...points.at(-1)), width + 1, 0, 2 * Math.PI);
      pen.fill();
      pen.globalAlpha = 1;
    };
    pen.strokeStyle = pen.fillStyle = this.data.surface.text;
    const steps = Array.from({ length: moments }, (_, moment) => moment);
    for (let word = 0; word < words; word++) {
      line(steps.map((m) => [path.x[place(m, word)], path.y[place(m, word)]]), 1, 0.18);
    }
    const mean = (values, m) => values.subarray(m * words, (m + 1) * words).reduce((a, b) => a + b, 0) / words;
    line(steps.map((m) => [mean(path.x, m), mean(path.y, m)]), 2, 1);
  }

  // A chosen item in its own colour, large enough to be found; many are left to the plot.
  mark(pen, row) {
    pen.lineWidth = 1.5;
    pen.strokeStyle = this.data.surface.text;
    pen.fillStyle = this.data.colours[this.space.colour[row]];
    this.ring(pen, row, 5);
    pen.fill();
  }

  ring(pen, row, radius) {
    pen.beginPath();
    pen.arc(...this.toPixels(this.space.x[row], this.space.y[row]), radius, 0, 2 * Math.PI);
    pen.stroke();
  }

  destroy() {
    this.isGone = true;
    clearTimeout(this.rest);
    this.plot.destroy();
  }
}

function withFirst(chosen, others, budget) {
  const first = chosen.slice(0, budget);
  const known = new Set(first);
  const rest = others.filter((row) => !known.has(row)).subarray(0, budget - first.length);
  const rows = new Uint32Array(first.length + rest.length);
  rows.set(first);
  rows.set(rest, first.length);
  return rows;
}

function freshPen(canvas) {
  const pen = canvas.getContext("2d");
  const ratio = window.devicePixelRatio;
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return pen;
}

function cloudOf({ counts, cells, most }, colour) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = cells;
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(cells, cells);
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  counts.forEach((count, cell) => {
    const alpha = count ? 40 + 160 * (Math.log1p(count) / Math.log1p(most)) : 0;
    image.data.set([red, green, blue, alpha], cell * 4);
  });
  pen.putImageData(image, 0, 0);
  return canvas;
}

const overlap = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
const sizeOf = (count) => (count < 3000 ? 5 : count < 20000 ? 4 : count < 200000 ? 3 : 2);
const opacityOf = (count) => (count < 3000 ? 0.85 : count < 20000 ? 0.7 : count < 200000 ? 0.5 : 0.25);
