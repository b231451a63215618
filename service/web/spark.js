// A small curve for lists. SVG, so that it follows the theme, prints, and is cheap.

const NS = 'http://www.w3.org/2000/svg', WIDTH = 240, HEIGHT = 44;

function node(tag, properties) {
  const made = document.createElementNS(NS, tag);
  for (const [key, value] of Object.entries(properties)) made.setAttribute(key, value);
  return made;
}

// A scale that is linear up to `knee`, where people read queue time closely, and compressed above
// it, where it may jump a hundredfold. Also used as a scale of uPlot.
export function squeezed(knee) {
  return {
    distr: 100,
    fwd: (v) => (v <= knee ? v / knee : 1 + Math.log(v / knee) * 0.55),
    bwd: (v) => (v <= 1 ? v * knee : knee * Math.exp((v - 1) / 0.55)),
  };
}

// values: ms, null for unknown. above: the threshold; higher values are filled in amber.
export function sparkline(values, { above, dead, label }) {
  const svg = node('svg', {
    class: dead ? 'spark dead' : 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    preserveAspectRatio: 'none', role: 'img', 'aria-label': label,
  });
  const { fwd } = squeezed(above ?? 100);
  const top = Math.max(1.25, ...values.map((v) => fwd(v ?? 0)));
  const y = (v) => (HEIGHT - 2 - fwd(v) / top * (HEIGHT - 6)).toFixed(1);
  const x = (i) => (i / Math.max(1, values.length - 1) * WIDTH).toFixed(1);

  let curve = '', area = '', first = null;
  const close = (last) => {
    if (first !== null) area += `L${x(last)} ${HEIGHT}L${x(first)} ${HEIGHT}Z`;
    if (first !== null && first === last) curve += 'h2'; // one value alone is seen too
    first = null;
  };
  values.forEach((v, i) => {
    if (v === null) { close(i - 1); return; }
    const step = `${first === null ? 'M' : 'L'}${x(i)} ${y(v)}`;
    if (first === null) first = i;
    curve += step;
    area += step;
  });
  close(values.length - 1);
  svg.append(node('path', { class: 'area', d: area }));
  if (above !== undefined) svg.append(...overLimit(values, above, fwd, x, y));
  svg.append(node('path', { class: 'curve', d: curve }));
  return svg;
}

// The parts above the limit, cut where the curve crosses it, and the limit.
function overLimit(values, above, fwd, x, y) {
  const limit = y(above);
  const cross = (i) => { const a = fwd(values[i]), b = fwd(values[i + 1]); return x(i + (fwd(above) - a) / (b - a)); };
  let over = '';
  values.forEach((v, i) => {
    if (!(v > above)) return;
    const before = values[i - 1] ?? null, after = values[i + 1] ?? null;
    if (!(before > above)) over += `M${before !== null ? cross(i - 1) : x(i)} ${limit}`;
    over += `L${x(i)} ${y(v)}`;
    if (!(after > above)) over += `L${after !== null ? cross(i) : x(i)} ${limit}Z`;
  });
  return [node('path', { class: 'over', d: over }), node('line', { class: 'limit', x1: 0, x2: WIDTH, y1: limit, y2: limit })];
}
