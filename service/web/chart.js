// uPlot for these pages: colours from the stylesheet, one cursor for all charts of a board,
// dragging to zoom in, and a slider that moves the cursor by keyboard.

import uPlot from './vendor/uplot.js';
import { el } from './dom.js';
import { hour, now, shortDay, unit, zoneName } from './words.js';
import { onTheme } from './shell.js';

// Canvas needs real colours, so let the browser work them out from the tokens.
const probe = document.createElement('span');
probe.hidden = true;
document.documentElement.append(probe);
const colours = new Map();
export function colour(name) {
  if (!colours.has(name)) {
    probe.style.color = `var(--${name})`;
    colours.set(name, getComputedStyle(probe).color);
  }
  return colours.get(name);
}
// A scale for numbers of dynos, with room for the label at the maximum.
export const dynoRange = { range: (u, min, max) => [0, Math.max(4, Math.ceil(max) * 1.06 + 0.4)] };
export function hatch(stroke, back) {
  const tile = document.createElement('canvas'), size = 6 * devicePixelRatio;
  tile.width = tile.height = size;
  const c = tile.getContext('2d');
  if (back) { c.fillStyle = colour(back); c.fillRect(0, 0, size, size); }
  c.strokeStyle = colour(stroke);
  c.lineWidth = 1.3 * devicePixelRatio;
  c.beginPath();
  for (const d of [-size, 0, size]) { c.moveTo(d, size); c.lineTo(d + size, 0); }
  c.stroke();
  return c.createPattern(tile, 'repeat');
}

const WAITS = [0, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 60000, 300000, 1800000, 7200000];
export const waitSplits = (u, axis, min, max) => WAITS.filter((v) => v <= max);
export const waitLabels = (u, values) => values.map((v) => (v === null ? '' : unit(v).join(' ')));

// Labels that would cover the one below them are left out.
export function apart(u, splits) {
  let below = null;
  return splits.map((v) => {
    const y = u.valToPos(v, 'y');
    if (below !== null && below - y < 17) return null;
    below = y;
    return v;
  });
}

const stepped = uPlot.paths.stepped({ align: 1 });
export const area = (fill, stroke, more = {}) => ({
  fill: () => (typeof fill === 'function' ? fill() : colour(fill)), stroke: stroke && (() => colour(stroke)),
  width: stroke ? 1.5 : 0, points: { show: false }, ...more,
});
export const line = (stroke, more = {}) => ({ stroke: () => colour(stroke), width: 1.5, points: { show: false }, ...more });
export const hidden = { points: { show: false }, width: 0 };
export const steps = { paths: stepped };
export const isNarrow = () => matchMedia('(max-width: 720px)').matches;

function widthOf(host) {
  const style = getComputedStyle(host);
  return host.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
}

// The label of a moment on the time axis.
function axisLabel(t, increment, narrow) {
  if (t > now()) return '';
  if (increment < 86400 && hour(t) !== '00:00') return hour(t);
  return narrow ? shortDay(t).slice(4) : shortDay(t);
}

export class Board {
  constructor({ zoom, slider } = {}) {
    this.charts = [];
    this.key = uPlot.sync(`board${Math.random()}`).key;
    this.zoom = zoom;
    onTheme(() => { colours.clear(); for (const chart of this.charts) chart.redraw(true, true); });
    slider?.addEventListener('input', () => this.point(Number(slider.value)));
    slider?.addEventListener('blur', () => this.leave());
  }

  add(host, { height, series, bands = [], y = {}, yAxis = {}, xLabels = true, before, after, read, data, margin }) {
    const narrow = isNarrow();
    const axis = {
      stroke: () => colour('ink-2'), font: `12px ${getComputedStyle(document.body).fontFamily}`,
      grid: { stroke: () => colour('grid'), width: 1 }, ticks: { show: false },
    };
    const chart = new uPlot({
      width: widthOf(host), height, padding: [8, margin ?? (narrow ? 62 : 98), xLabels ? 0 : 8, 0], legend: { show: false },
      tzDate: (t) => uPlot.tzDate(new Date(t * 1000), zoneName()),
      cursor: {
        y: false, drag: { x: Boolean(this.zoom), y: false, setScale: false }, sync: { key: this.key, setSeries: false },
        points: { size: 7, fill: (u, i) => colour(u.series[i].dot ?? 'ink'), show: (u, i) => (u.series[i].dot ? undefined : false) },
      },
      scales: { x: { time: true }, y: { range: (u, min, max) => [0, Math.max(1, max * 1.12)], ...y } },
      axes: [
        { ...axis, show: xLabels, size: 30, gap: 6, space: narrow ? 62 : 90, grid: { show: false },
          values: (u, splits, i, space, increment) => splits.map((t) => axisLabel(t, increment, narrow)) },
        { ...axis, size: 56, gap: 6, space: 28, ...yAxis },
      ],
      series: [{}, ...series], bands,
      hooks: {
        drawAxes: before ? [(u) => before(u)] : [],
        draw: [(u) => { after?.(u); if (this.marked) drawMark(u, this.marked); }],
        setCursor: [(u) => read?.(u.cursor.idx ?? null)],
        setSelect: [(u) => this.selected(u)],
      },
    }, data, host);
    new ResizeObserver(() => {
      const width = widthOf(host);
      if (width > 50 && Math.abs(width - chart.width) > 1) { chart.setSize({ width, height }); this.resized?.(); }
    }).observe(host);
    this.charts.push(chart);
    read?.(null);
    return chart;
  }

  selected(u) {
    if (u.select.width > 8 && this.zoom) {
      this.zoom(u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x'));
    }
    u.setSelect({ width: 0, height: 0, left: 0, top: 0 }, false);
  }

  clear() { for (const chart of this.charts) chart.destroy(); this.charts = []; }
  point(t) { for (const chart of this.charts) chart.setCursor({ left: chart.valToPos(t, 'x'), top: 10 }, true, false); }
  leave() { for (const chart of this.charts) chart.setCursor({ left: -10, top: -10 }, true, false); }
  mark(t) { if (this.marked !== t) { this.marked = t; for (const chart of this.charts) chart.redraw(false, false); } }
}

function drawMark(u, t) {
  const x = Math.round(u.valToPos(t, 'x', true)), { bbox } = u;
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  verticalLine(u, x, 'ink', [3 * devicePixelRatio, 3 * devicePixelRatio]);
}

export function verticalLine(u, x, name, dash = []) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.strokeStyle = colour(name);
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash(dash);
  ctx.beginPath();
  ctx.moveTo(x + 0.5, bbox.top);
  ctx.lineTo(x + 0.5, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}

// A part of the chart for which nothing is known.
export function drawGap(u, from, to) {
  const a = u.valToPos(from, 'x', true), b = u.valToPos(to, 'x', true), { ctx, bbox } = u;
  if (b < bbox.left || a > bbox.left + bbox.width) return;
  const left = Math.max(a, bbox.left), right = Math.min(b, bbox.left + bbox.width);
  ctx.save();
  ctx.fillStyle = hatch('line-2');
  ctx.fillRect(left, bbox.top, Math.max(right - left, 2 * devicePixelRatio), bbox.height);
  ctx.restore();
}

export const readItem = (key, word, value) => el('span', {}, el('i', { class: `key ${key}`, 'aria-hidden': 'true' }), word, value === undefined ? null : el('b', { class: 'num' }, value));

// Words in the right margin of a chart, each at the height of its value.
export function gutter(u, list) {
  const { ctx, bbox } = u, r = devicePixelRatio, narrow = isNarrow(), family = getComputedStyle(document.body).fontFamily;
  const x = bbox.left + bbox.width + 8 * r;
  ctx.save();
  ctx.textAlign = 'left';
  ctx.textBaseline = 'middle';
  for (const [value, word, number] of list) {
    if (value === null || value === undefined) continue;
    const y = u.valToPos(value, 'y', true);
    ctx.strokeStyle = colour('ink-2');
    ctx.lineWidth = r;
    ctx.beginPath();
    ctx.moveTo(x - 8 * r, Math.round(y) + 0.5);
    ctx.lineTo(x - 3 * r, Math.round(y) + 0.5);
    ctx.stroke();
    ctx.fillStyle = colour('ink');
    ctx.font = `600 ${12 * r}px ${family}`;
    ctx.fillText(number, x, y + (narrow ? 0 : 7 * r));
    if (narrow) continue;
    ctx.fillStyle = colour('ink-2');
    ctx.font = `${12 * r}px ${family}`;
    ctx.fillText(word, x, y - 7 * r);
  }
  ctx.restore();
}
