// Draws the figures that a run told as one small SVG a figure.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 360;
const HEIGHT = 150;
const LEFT = 44;
const RIGHT = 8;
const TOP = 10;
const BOTTOM = 20;

function element(name, attributes, text) {
  const one = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  if (text !== undefined) one.textContent = text;
  return one;
}

function short(number) {
  return Math.abs(number) >= 100 ? number.toFixed(0) : Number(number.toPrecision(3)).toString();
}

// `points`: [x, y] in the order of x.
function drawn(name, points) {
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const low = Math.min(...ys, 0);
  const high = Math.max(...ys) > low ? Math.max(...ys) : low + 1;
  const first = xs[0];
  const span = xs.at(-1) - first || 1;
  const across = (x) => LEFT + ((x - first) / span) * (WIDTH - LEFT - RIGHT);
  const down = (y) => HEIGHT - BOTTOM - ((y - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const line = points.map(([x, y]) => `${across(x).toFixed(1)},${down(y).toFixed(1)}`).join(" ");
  const [lastX, lastY] = points.at(-1);
  const svg = element("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: "img",
    "aria-label": `${name}: from ${short(ys[0])} to ${short(lastY)} in ${points.length} points`,
  });
  svg.append(
    element("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: down(low), y2: down(low) }),
    element("line", { class: "axis", x1: LEFT, x2: LEFT, y1: TOP, y2: down(low) }),
    element("text", { x: LEFT - 6, y: TOP + 6, "text-anchor": "end" }, short(high)),
    element("text", { x: LEFT - 6, y: down(low), "text-anchor": "end" }, short(low)),
    element("text", { x: LEFT, y: HEIGHT - 4 }, short(first)),
    element("text", { x: WIDTH - RIGHT, y: HEIGHT - 4, "text-anchor": "end" }, short(xs.at(-1))),
    element("polyline", { class: "curve", points: line }),
    element("circle", { class: "last", cx: across(lastX), cy: down(lastY), r: 3 }),
  );
  const caption = document.createElement("figcaption");
  caption.textContent = `${name}: ${short(lastY)}`;
  const figure = document.createElement("figure");
  figure.append(caption, svg);
  return figure;
}

// `curve`: objects of numbers; `step` is the x of all others, where it is missing the number of the point.
export function drawCurves(place, curve) {
  const names = [...new Set(curve.flatMap((point) => Object.keys(point)))].filter((name) => name !== "step");
  const figures = names.map((name) => {
    const points = curve.flatMap((point, i) => (name in point ? [[point.step ?? i, point[name]]] : []));
    return drawn(name, points);
  });
  place.classList.add("curves");
  place.replaceChildren(...figures);
}
