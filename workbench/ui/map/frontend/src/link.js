// The view in the address: middle and magnification of each panel, `x,y,zoom` in thousandths.
// A selection reaches the address by way of Python, which needs it for its tables.

const NAME = "view";

export function readView(panels) {
  const stored = new URLSearchParams(window.location.search).get(NAME);
  if (!stored) return;
  const views = stored.split(";").map((part) => part.split(",").map((value) => Number(value) / 1000));
  panels.forEach((panel, place) => {
    const [x, y, zoom] = views[place] ?? [];
    if ([x, y, zoom].every(Number.isFinite) && zoom > 0) panel.look({ x, y, zoom });
  });
}

export function writeView(panels) {
  const whole = (value) => Math.round(value * 1000);
  const views = panels.map((panel) => panel.where());
  const isMoved = views.some(({ x, y, zoom }) => whole(x) || whole(y) || whole(zoom) !== 1000);
  const address = new URL(window.location.href);
  const text = views.map(({ x, y, zoom }) => [x, y, zoom].map(whole).join(",")).join(";");
  if (isMoved) address.searchParams.set(NAME, text);
  else address.searchParams.delete(NAME);
  if (address.href !== window.location.href) window.history.replaceState(window.history.state, "", address);
}
