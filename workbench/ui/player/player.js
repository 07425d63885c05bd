"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const lanes = data.lanes;
const last = Math.max(...lanes.map((lane) => lane.t.length - 1));
let step = 0, untouched = true, timer = null, lit = null, curve = null;

// Viridis at five stops: even in lightness, safe for colour-blind eyes.
const RAMP = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
// On a dark paper its first two stops are lifted, or early words would not be seen.
if (parseInt(css("--paper").slice(1, 3), 16) < 128) RAMP.splice(0, 2, [150, 96, 196], [98, 130, 205]);
function ramp(share, alpha) {
  const place = Math.min(0.9999, Math.max(0, share)) * (RAMP.length - 1);
  const i = Math.floor(place), f = place - i;
  const [r, g, b] = RAMP[i].map((low, c) => Math.round(low + f * (RAMP[i + 1][c] - low)));
  return `rgba(${r},${g},${b},${alpha})`;
}

// Distances of the dots. In a lane from outside these are latents of its own, and no words.
const away = (lane) => lane.away ?? lane.far;
const pointed = (lane) => (lane.away ? null : lit);
const at = (lane) => Math.min(step, lane.t.length - 1);
const committed = (lane, k) => at(lane) >= lane.commit[k];
const extremes = {
  entropy: [0, Math.max(0.01, ...lanes.flatMap((l) => l.entropy.flat()))],
  far: [0, Math.max(data.far_limit, ...lanes.flatMap((l) => away(l).flat()))],
};
function paint(lane, k, alpha) {
  const kind = $("paint").value;
  if (kind === "commit") return ramp(lane.commit[k] / last, alpha);
  if (lane[kind][at(lane)][k] === null) return "transparent"; // not measured in this lane
  return ramp(lane[kind][at(lane)][k] / extremes[kind][1], alpha);
}
function paintDot(lane, k, alpha) {
  if (!lane.away) return paint(lane, k, alpha);
  if ($("paint").value === "far") return ramp(lane.away[at(lane)][k] / extremes.far[1], alpha);
  return lane.colour + Math.round(255 * alpha).toString(16).padStart(2, "0");
}

function element(name, parent, className, text) {
  const node = document.createElement(name);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}

function labelled(node, label, text) {
  if (!text) { node.remove(); return; }
  element("b", node, "", label + " ");
  node.append(text);
}
labelled($("prompt"), "Prompt", data.prompt);
markFacts($("prompt"));

// The prompt's facts that a faithful text keeps, underlined where they stand in the prompt.
function markFacts(node) {
  const facts = lanes[0].facts.map(([value]) => value);
  if (!facts.length || !node.isConnected) return;
  const text = node.lastChild.textContent, lower = text.toLowerCase();
  node.lastChild.remove();
  let from = 0;
  for (let i = 0; i < text.length;) {
    const fact = facts.find((f) => lower.startsWith(f.toLowerCase(), i) &&
      !/\w/.test(lower[i - 1] || " ") && !/\w/.test(lower[i + f.length] || " "));
    if (!fact) { i++; continue; }
    node.append(text.slice(from, i));
    element("mark", node, "", text.slice(i, i + fact.length));
    from = i += fact.length;
  }
  node.append(text.slice(from));
}
labelled($("reference"), "What a human wrote next", data.reference);

for (const lane of lanes) {
  const box = element("section", $("lanes"), "lane");
  const heading = element("h2", box, "", lane.title);
  heading.style.color = lane.colour;
  element("small", heading, "", `${lane.subtitle} · ${lane.nfe} network evaluations`);
  lane.factLine = element("p", box, "facts");
  lane.canvas = element("canvas", box);
  lane.canvas.setAttribute("role", "img");
  lane.canvas.setAttribute("aria-label", `Path of ${lane.title}`);
  if (!lane.points.length) {
    lane.canvas.remove();
    element("p", box, "note", "Writes tokens, not latents: there is no map.");
  }
  lane.words = element("div", box);
  lane.note = element("p", lane.words, "note");
  lane.text = element("div", lane.words, "text");
  lane.spans = lane.commit.map((_, k) => {
    const span = element("span", lane.text, "token");
    span.onmouseenter = () => { lit = k; draw(); };
    span.onmouseleave = () => { lit = null; draw(); };
    return span;
  });
  lane.extent = lane.points.length ? extent(lane) : null;
}

// Room for the axes' names, left and below, in CSS pixels.
const MARGIN = 22;

function extent(lane) {
  const all = lane.cloud.concat(lane.points.flat());
  return [0, 1].map((axis) => {
    const values = all.map((p) => p[axis]).sort((a, b) => a - b);
    const low = values[Math.floor(values.length * 0.005)];
    const high = values[Math.ceil(values.length * 0.995) - 1];
    const pad = 0.06 * (high - low) || 1;
    return [low - pad, high + pad];
  });
}

// A canvas in device pixels, cleared, with its size in CSS pixels.
function prepared(canvas) {
  const scale = window.devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight;
  canvas.width = Math.round(w * scale);
  canvas.height = Math.round(h * scale);
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.font = "11px system-ui, sans-serif";
  return [pen, w, h];
}

function dot(pen, x, y, radius, fill) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fillStyle = fill;
  pen.fill();
}

function drawMap(lane) {
  const [pen, w, h] = prepared(lane.canvas), now = at(lane);
  const [[x0, x1], [y0, y1]] = lane.extent;
  const bottom = h - MARGIN;
  const place = (p) => [MARGIN + ((p[0] - x0) / (x1 - x0)) * (w - MARGIN),
    bottom - ((p[1] - y0) / (y1 - y0)) * bottom];
  pen.save();
  pen.beginPath();
  pen.rect(MARGIN, 0, w - MARGIN, bottom);
  pen.clip();
  pen.globalAlpha = 0.28;
  for (const p of lane.cloud) dot(pen, ...place(p), 1.6, css("--muted"));
  pen.globalAlpha = 1;
  const inText = lane.is_text[lane.is_text.length - 1];
  const written = lane.commit.map((_, k) => k).filter((k) => inText[k]);
  const shown = lane.away ? lane.points[0].map((_, k) => k)
    : written.length ? written : lane.commit.map((_, k) => k);
  for (const k of shown) drawTrail(pen, lane, k, now, place);
  drawMean(pen, lane, shown, now, place);
  for (const k of shown) drawToken(pen, lane, k, now, place);
  pen.restore();
  drawAxes(pen, lane, w, bottom);
}

function drawAxes(pen, lane, w, bottom) {
  pen.strokeStyle = css("--grid");
  pen.lineWidth = 1;
  pen.beginPath();
  pen.moveTo(MARGIN, 0); pen.lineTo(MARGIN, bottom); pen.lineTo(w, bottom);
  pen.stroke();
  pen.fillStyle = css("--muted");
  const share = lane.explained.map((v) => Math.round(100 * v) + " %");
  pen.fillText(`PC 1, ${share[0]} of the variance →`, MARGIN + 4, bottom + 15);
  pen.save();
  pen.translate(14, bottom - 4);
  pen.rotate(-Math.PI / 2);
  pen.fillText(`PC 2, ${share[1]} →`, 0, 0);
  pen.restore();
}

function drawTrail(pen, lane, k, now, place) {
  pen.beginPath();
  for (let s = Math.max(0, now - 8); s <= now; s++) pen.lineTo(...place(lane.points[s][k]));
  const lit = pointed(lane);
  pen.strokeStyle = paintDot(lane, k, lit === null || lit === k ? 0.45 : 0.12);
  pen.lineWidth = lit === k ? 2.5 : 1;
  pen.stroke();
}

// The arm's own line: the mean of its tokens from noise to here.
function drawMean(pen, lane, shown, now, place) {
  pen.beginPath();
  for (let s = 0; s <= now; s++) {
    const mean = [0, 1].map((a) =>
      shown.reduce((sum, k) => sum + lane.points[s][k][a], 0) / shown.length);
    pen.lineTo(...place(mean));
  }
  pen.strokeStyle = lane.colour;
  pen.lineWidth = 3;
  pen.stroke();
}

function drawToken(pen, lane, k, now, place) {
  const [x, y] = place(lane.points[now][k]), lit = pointed(lane);
  const dim = lit !== null && lit !== k;
  dot(pen, x, y, lit === k ? 7 : 4.5, paintDot(lane, k, dim ? 0.25 : 0.95));
  if (away(lane)[now][k] > data.far_limit) {
    pen.beginPath();
    pen.arc(x, y, 7.5, 0, 2 * Math.PI);
    pen.setLineDash([2, 2]);
    pen.strokeStyle = css("--text");
    pen.lineWidth = 1;
    pen.stroke();
    pen.setLineDash([]);
  }
  if (lit === k) {
    pen.fillStyle = css("--text");
    pen.font = "600 12px system-ui, sans-serif";
    pen.fillText(lane.names[lane.tokens[now][k]], x + 10, y + 4);
    pen.font = "11px system-ui, sans-serif";
  }
}

const writes = (lane, s) => lane.is_text[s][0] === 1;

// An empty text would pass for a certain one.
function absence(lane) {
  if (!writes(lane, lane.is_text.length - 1))
    return "Ended at once: no text after this prompt, only the end mark ∎. Its curves have gaps.";
  return writes(lane, at(lane)) ? "" : "No text yet: at this step the decoder reads the end mark ∎ " +
    "first, and nothing after it counts.";
}

// Which of the prompt's facts this step's text keeps, by name.
function drawFacts(lane) {
  const facts = lane.facts, now = at(lane);
  lane.factLine.replaceChildren();
  if (!facts.length) return;
  const kept = facts.filter(([, at]) => at[now]).length;
  element("span", lane.factLine, "", `Facts kept: ${kept} of ${facts.length} `);
  for (const [value, at] of facts)
    element("span", lane.factLine, `fact ${at[now] ? "kept" : "lost"}`, value);
  lane.keptWords = new Set(
    facts.filter(([, at]) => at[now]).flatMap(([value]) => value.toLowerCase().split(/\s+/)));
}

function drawText(lane) {
  const now = at(lane);
  drawFacts(lane);
  lane.note.textContent = absence(lane);
  lane.spans.forEach((span, k) => {
    const inText = lane.is_text[now][k];
    const name = lane.names[lane.tokens[now][k]];
    span.textContent = inText ? name : (k === 0 || lane.is_text[now][k - 1] ? "∎" : "");
    span.hidden = span.textContent === "";
    const settled = committed(lane, k), far = lane.far[now][k] > data.far_limit;
    span.className = "token" + (settled ? "" : " open") + (inText ? "" : " end") +
      (far && inText ? " far" : "") + (lit === k ? " lit" : "") +
      (inText && lane.keptWords && lane.keptWords.has(name.toLowerCase()) ? " fact-word" : "");
    // Entropy and distance are of this moment, so that an unsettled word has them too.
    const coloured = settled || $("paint").value !== "commit";
    span.style.borderBottomColor = coloured ? paint(lane, k, 1) : "transparent";
    span.style.backgroundColor = coloured ? paint(lane, k, 0.22) : "transparent";
    const told = (values, digits, around) =>
      values[now][k] === null ? "" : around(values[now][k].toFixed(digits));
    span.title = `${name} · commits at step ${lane.commit[k]}` +
      told(lane.entropy, 2, (v) => ` · entropy ${v} nats`) +
      told(lane.margin, 2, (v) => ` · margin ${v}`) +
      told(lane.far, 1, (v) => ` · ${v} × the usual distance to a real latent`);
  });
}

const names = [...new Set(lanes.flatMap((lane) => Object.keys(lane.curves)))];
for (const lane of lanes) for (const name of names) lane.curves[name] ??= [];
for (const name of names) {
  const button = element("button", $("curve-choice"), "", name);
  button.type = "button";
  button.onclick = () => { curve = name; draw(); };
  button.dataset.name = name;
}
curve = names[0];

function drawCurves() {
  for (const button of $("curve-choice").children)
    button.setAttribute("aria-pressed", String(button.dataset.name === curve));
  const [pen, w, h] = prepared($("curves"));
  const values = lanes.flatMap((l) => l.curves[curve]).filter((v) => v !== null);
  $("curve-note").textContent = values.length ? data.note : "No text at any step: nothing to draw.";
  const low = Math.min(0, ...values), high = Math.max(low + 1e-6, ...values);
  const left = 46, bottom = 22, top = 10;
  const x = (s) => left + (s / last) * (w - left - 10);
  const y = (v) => top + (1 - (v - low) / (high - low)) * (h - top - bottom);
  pen.strokeStyle = css("--grid");
  pen.fillStyle = css("--muted");
  pen.textAlign = "right";
  for (let i = 0; i <= 4; i++) {
    const v = low + (i / 4) * (high - low);
    pen.beginPath(); pen.moveTo(left, y(v)); pen.lineTo(w - 10, y(v)); pen.stroke();
    pen.fillText(v.toPrecision(2), left - 6, y(v) + 4);
  }
  pen.textAlign = "center";
  const jump = Math.max(1, Math.round(last / 10));
  for (let s = 0; s <= last; s += jump) pen.fillText(String(s), x(s), h - 6);
  pen.textAlign = "left";
  lanes.forEach((lane, number) => {
    pen.strokeStyle = lane.colour;
    pen.lineWidth = 2;
    pen.lineCap = "round";
    pen.setLineDash(number < 2 ? [] : [6, 4]);
    pen.beginPath();
    let open = false;
    lane.curves[curve].forEach((v, s) => {
      if (v === null) { open = false; return; }
      if (!open) pen.moveTo(x(s), y(v));
      pen.lineTo(x(s), y(v)); // to itself too: a moment between gaps is a round dot
      open = true;
    });
    pen.stroke();
    pen.setLineDash([]);
    const v = lane.curves[curve][at(lane)] ?? null;
    if (v !== null) dot(pen, x(at(lane)), y(v), 4.5, lane.colour);
  });
  pen.strokeStyle = css("--muted");
  pen.beginPath(); pen.moveTo(x(step), top); pen.lineTo(x(step), h - bottom); pen.stroke();
}

// Both themes' scales begin in a violet and end in yellow.
const ends = (low, high) => `violet: ${low}, yellow: ${high}`;

function drawScale() {
  const pen = $("scale").getContext("2d");
  for (let i = 0; i < 110; i++) { pen.fillStyle = ramp(i / 110, 1); pen.fillRect(i, 0, 1, 12); }
  const kind = $("paint").value;
  $("scale-text").textContent = kind === "commit" ? ends("step 0", `step ${last}`) :
    kind === "entropy" ? ends("0", `${extremes.entropy[1].toFixed(1)} nats`) :
      ends("0", `${extremes.far[1].toFixed(1)} × usual`);
}

function draw() {
  $("step").value = step;
  const t = lanes[0].t[at(lanes[0])];
  $("clock").textContent = `step ${step} of ${last}, t = ${t.toFixed(2)}`;
  for (const lane of lanes) { if (lane.points.length) drawMap(lane); drawText(lane); }
  drawCurves();
  drawScale();
}

function go(to) { untouched = false; step = Math.min(last, Math.max(0, to)); draw(); }
function pause() {
  clearInterval(timer);
  timer = null;
  $("play").classList.remove("playing");
  $("play").setAttribute("aria-label", "Play");
}
function play() {
  if (untouched || step >= last) go(0);
  $("play").classList.add("playing");
  $("play").setAttribute("aria-label", "Pause");
  timer = setInterval(() => {
    go(step + 1);
    if (step >= last) pause();
  }, 1000 / Number($("speed").value));
}

$("step").max = last;
$("play").onclick = () => (timer ? pause() : play());
$("back").onclick = () => { pause(); go(step - 1); };
$("next").onclick = () => { pause(); go(step + 1); };
$("step").oninput = () => { pause(); go(Number($("step").value)); };
$("speed").onchange = () => { if (timer) { pause(); play(); } };
$("paint").onchange = draw;
document.onkeydown = (event) => {
  const tag = event.target.tagName;
  if (tag === "SELECT" || tag === "BUTTON") return;
  if (event.key === " ") { event.preventDefault(); timer ? pause() : play(); }
  if (tag === "INPUT") return; // the slider moves by itself
  if (event.key === "ArrowRight") go(step + 1);
  if (event.key === "ArrowLeft") go(step - 1);
  if (event.key === "Home") { pause(); go(0); }
};
// Room for the longest text of any step, so that nothing jumps while it plays.
function reserve() {
  const before = step;
  for (const lane of lanes) lane.words.style.minHeight = "";
  const tallest = lanes.map(() => 0);
  for (step = 0; step <= last; step++)
    lanes.forEach((lane, n) => {
      drawText(lane);
      tallest[n] = Math.max(tallest[n], lane.words.offsetHeight);
    });
  lanes.forEach((lane, n) => { lane.words.style.minHeight = `${tallest[n]}px`; });
  step = before;
}
// The step at which half of the words that are left in the end have settled, over all lanes.
function half() {
  const settled = lanes.flatMap((lane) =>
    lane.commit.filter((_, k) => lane.is_text[lane.is_text.length - 1][k])).sort((a, b) => a - b);
  return settled.length ? settled[Math.ceil(settled.length / 2) - 1] : 0;
}
window.onresize = () => { reserve(); draw(); };
reserve();
step = half();
draw();
