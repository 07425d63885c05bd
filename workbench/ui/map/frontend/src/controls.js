// Search, buttons and legend above the maps; below them what is pointed at and what is chosen.

const MOST_LISTED = 60;
const LONG = 30; // characters of a name that is a text
const LISTED = 160; // characters of a name in a list
const TYPING = 150; // milliseconds without a key before a search

export class Controls {
  constructor(data, on) {
    Object.assign(this, { data, on });
    this.search = element("input", { type: "search", placeholder: data.hint, value: data.look.find ?? "" });
    this.search.setAttribute("aria-label", "Find in the maps");
    this.search.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => on.onFind(this.search.value), TYPING);
    });
    this.modes = ["panZoom", "lasso"].map((mode) => {
      const button = element("button", { type: "button", textContent: mode === "lasso" ? "Lasso" : "Move" });
      button.addEventListener("click", () => this.mode(mode));
      return [mode, button];
    });
    const press = (text, then) => {
      const button = element("button", { type: "button", textContent: text });
      button.addEventListener("click", then);
      return button;
    };
    this.forget = press("Forget the choice", () => on.onClear());
    this.top = element("div", { className: "controls" });
    this.top.append(
      this.search,
      ...this.modes.map(([, button]) => button),
      press("Whole map", on.onWhole),
      ...this.paths(),
      press("PNG", on.onPicture),
      this.legend(),
    );
    this.pointed = element("p", { className: "pointed" });
    this.count = element("p", { className: "count" });
    this.count.setAttribute("aria-live", "polite");
    this.items = element("ul", { className: "items" });
    this.bottom = element("div", { className: "below" });
    this.bottom.append(this.pointed, this.count, this.items);
    this.tell(-1);
    this.mode("panZoom", false);
  }

  mode(mode, isNew = true) {
    this.modes.forEach(([name, button]) => button.setAttribute("aria-pressed", String(name === mode)));
    if (isNew) this.on.onMode(mode);
  }

  paths() {
    const prompts = this.data.prompts;
    if (!prompts.length) return [];
    const select = element("select", {});
    select.setAttribute("aria-label", "Denoising path");
    select.append(new Option("no denoising path", "-1"));
    prompts.forEach((prompt, place) => select.append(new Option(`path ${place + 1}: ${prompt}`, String(place))));
    select.addEventListener("change", () => this.on.onPath(Number(select.value)));
    return [select];
  }

  legend() {
    const legend = element("div", { className: "legend" });
    for (const [name, colour] of this.data.legend) {
      const entry = element("span", {});
      const dot = element("i", {});
      dot.style.background = colour;
      entry.append(dot, name);
      legend.append(entry);
    }
    return legend;
  }

  name(row) { return this.data.names[this.data.name[row]]; }

  text(row) { return this.data.texts[this.data.text[row]] ?? ""; }

  words(row) {
    const [name, text] = [this.name(row), this.text(row)];
    return name === text || !text ? name : `${name}: ${text}`;
  }

  tell(row) {
    this.pointed.textContent = row < 0
      ? "Point at a dot to read it; click it for its neighbours in each space; Shift and drag for a lasso."
      : this.words(row);
  }

  list(chosen, { find }) {
    if (this.search.value !== find && document.activeElement !== this.search) this.search.value = find;
    this.items.replaceChildren(...chosen.slice(0, MOST_LISTED).map((row) => this.item(row)));
    const more = chosen.length - MOST_LISTED;
    if (!chosen.length) this.count.textContent = find.trim() ? "Nothing has this." : "";
    else {
      this.count.textContent = `${chosen.length.toLocaleString("en")} chosen${more > 0 ? `, the first ${MOST_LISTED} listed` : ""} `;
      this.count.append(this.forget);
    }
  }

  item(row) {
    const line = element("li", {});
    const button = element("button", { type: "button", textContent: this.words(row).slice(0, 120) });
    button.title = this.words(row);
    button.addEventListener("click", () => this.on.onAsk(row));
    button.addEventListener("focus", () => this.on.onHover(row));
    button.addEventListener("mouseenter", () => this.on.onHover(row));
    button.addEventListener("mouseleave", () => this.on.onHover(-1));
    line.append(button);
    return line;
  }

  listNear(place, asked, near) {
    place.replaceChildren();
    if (asked < 0) return;
    const isLong = near.some(([row]) => this.name(row).length > LONG);
    place.classList.toggle("long", isLong); // texts stand in lines of their own
    place.append(element("b", { textContent: `${this.name(asked).slice(0, LISTED)} → ` }));
    const named = new Map(); // a word stands once, however many of its places are near
    near.forEach(([row]) => named.set(this.name(row), [...(named.get(this.name(row)) ?? []), row]));
    [...named].forEach(([name, rows], index) => {
      const short = name.length > LISTED ? `${name.slice(0, LISTED)}…` : name;
      const button = element("button", { type: "button", textContent: short });
      button.title = this.words(rows[0]);
      button.addEventListener("click", () => this.on.onAsk(rows[0]));
      button.addEventListener("mouseenter", () => this.on.onHover(rows[0]));
      button.addEventListener("mouseleave", () => this.on.onHover(-1));
      place.append(index && !isLong ? ", " : "", button, rows.length > 1 ? ` ×${rows.length}` : "");
    });
  }
}

function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}
