// Which rows: in a view, in a lasso, with a word. No drawing here.

// Every row once in a fixed shuffled order, so that its beginning is a fair sample.
export function shuffled(count) {
  const order = Uint32Array.from({ length: count }, (_, row) => row);
  let state = 1;
  for (let left = count - 1; left > 0; left--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const other = state % (left + 1);
    [order[left], order[other]] = [order[other], order[left]];
  }
  return order;
}

// The first `budget` rows of `order` that lie in `view` (left, bottom, right, top).
export function rowsInView(space, order, [left, bottom, right, top], budget) {
  const { x, y } = space;
  const found = new Uint32Array(Math.min(budget, order.length));
  let count = 0;
  for (let place = 0; place < order.length && count < budget; place++) {
    const row = order[place];
    if (x[row] >= left && x[row] <= right && y[row] >= bottom && y[row] <= top) found[count++] = row;
  }
  return found.subarray(0, count);
}

// Rows inside a polygon [[x, y], ...] by the even-odd rule, as `rows_inside` in Python.
export function rowsInside(space, polygon) {
  const { x, y } = space;
  const xs = polygon.map((point) => point[0]);
  const ys = polygon.map((point) => point[1]);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [bottom, top] = [Math.min(...ys), Math.max(...ys)];
  const found = [];
  for (let row = 0; row < x.length; row++) {
    const [px, py] = [x[row], y[row]];
    if (px < left || px > right || py < bottom || py > top) continue;
    let inside = false;
    for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
      if (ys[i] > py !== ys[j] > py) {
        if (px < ((xs[j] - xs[i]) * (py - ys[i])) / (ys[j] - ys[i]) + xs[i]) inside = !inside;
      }
    }
    if (inside) found.push(row);
  }
  return found;
}

// At most `most` corners in thousandths, which is what a link holds.
export function roundedPolygon(polygon, most = 48) {
  const stride = Math.max(1, Math.ceil(polygon.length / most));
  const kept = polygon.filter((_, place) => place % stride === 0);
  return kept.map(([x, y]) => [Math.round(x * 1000) / 1000, Math.round(y * 1000) / 1000]);
}

// Rows whose word, or text, holds what is searched; `of` points from rows into `words`.
export function rowsWith(searched, words, of) {
  const wanted = searched.trim().toLowerCase();
  if (!wanted) return [];
  const hits = new Uint8Array(words.length);
  words.forEach((word, place) => { hits[place] = word.toLowerCase().includes(wanted) ? 1 : 0; });
  const found = [];
  for (let row = 0; row < of.length; row++) if (hits[of[row]]) found.push(row);
  return found;
}

// All points counted on a grid over [-1, 1]: what is seen where not every point is drawn.
export function density(space, cells = 160) {
  const counts = new Float32Array(cells * cells);
  let most = 0;
  for (let row = 0; row < space.x.length; row++) {
    const column = Math.min(cells - 1, Math.floor(((space.x[row] + 1) / 2) * cells));
    const line = Math.min(cells - 1, Math.floor(((1 - space.y[row]) / 2) * cells));
    most = Math.max(most, ++counts[line * cells + column]);
  }
  return { counts, cells, most };
}
