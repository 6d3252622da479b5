/** How does a figure look? A bar for each subject on a logarithmic axis, with its quartiles: an SVG that needs nothing else. */
import type {Figure} from '../measure/figure.js';
import {median, quantile} from '../measure/stats.js';
import {element, STYLE, widthOf} from './drawing.js';
import {boundOf, ranked, written} from './words.js';

/** All lengths are in pixels. */
const ROW = 24;
const BAR = 12;
const TICK = 4;
const GAP = 8;
const TOP = 30;
const PLOT = 420;

interface Bar {
  readonly subject: string;
  readonly middle: number;
  readonly low: number;
  readonly high: number;
  readonly text: string;
}

/** From which power of ten to which. */
interface Axis {
  readonly first: number;
  readonly last: number;
}

/** All that is above zero, which has no place on a logarithmic axis. */
function axisFor(bars: readonly Bar[]): Axis {
  const values = bars.flatMap(({low, middle, high}) => [low, middle, high]).filter(value => value > 0);
  if (values.length === 0) return {first: 0, last: 1};
  // The least has a bar that can be seen.
  const first = Math.floor(Math.log10(Math.min(...values)) - 0.1);
  return {first, last: Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values))))};
}

/** How far from the start of the axis; nothing, for zero. */
function lengthOf(value: number, {first, last}: Axis): number {
  return Math.max(0, (PLOT * (Math.log10(value) - first)) / (last - first));
}

function kindOf({yardstick}: Figure, subject: string): string {
  if (subject === yardstick) return 'bar yardstick';
  return /^locksmith|^(examineFile|listLocks)\(/.test(subject) ? 'bar ours' : 'bar';
}

function drawRow(figure: Figure, bar: Bar, axis: Axis, left: number, y: number): string[] {
  const middle = y + ROW / 2;
  const [low, high] = [left + lengthOf(bar.low, axis), left + lengthOf(bar.high, axis)];
  const width = lengthOf(bar.middle, axis);
  const line = (x1: number, y1: number, x2: number, y2: number) =>
    element('line', {class: 'whisker', x1, y1, x2, y2});
  const whiskers = [
    line(low, middle, high, middle),
    line(low, middle - TICK, low, middle + TICK),
    line(high, middle - TICK, high, middle + TICK),
  ];
  return [
    element('text', {x: left - GAP, y: middle + TICK, 'text-anchor': 'end'}, bar.subject),
    element('rect', {
      class: kindOf(figure, bar.subject),
      x: left,
      y: middle - BAR / 2,
      width,
      height: BAR,
    }),
    ...(bar.high > bar.low ? whiskers : []),
    element('text', {x: high + GAP, y: middle + TICK}, bar.text),
  ];
}

interface Tick {
  readonly power: number;
  readonly text: string;
}

function ticksOf({unit}: Figure, {first, last}: Axis): Tick[] {
  const powers = Array.from({length: last - first + 1}, (_, index) => first + index);
  return powers.map(power => ({power, text: written(10 ** power, unit)}));
}

function widest(texts: readonly string[]): number {
  return Math.max(0, ...texts.map(widthOf));
}

function drawAxis(ticks: readonly Tick[], axis: Axis, left: number, bottom: number): string[] {
  // Where there are many, only every second one has its text, and so on.
  const step = Math.ceil(((widest(ticks.map(({text}) => text)) + GAP) * (ticks.length - 1)) / PLOT);
  return ticks.flatMap(({power, text}, index) => {
    const x = left + lengthOf(10 ** power, axis);
    const line = element('line', {class: 'axis', x1: x, y1: TOP, x2: x, y2: bottom});
    return index % step === 0
      ? [line, element('text', {x, y: bottom + 16, 'text-anchor': 'middle'}, text)]
      : [line];
  });
}

/** A picture of a figure, the least first; the yardstick and what is ours have colours of their own. */
export function plot(figure: Figure): string {
  const bars = ranked(figure).map(
    ([subject, values]): Bar => ({
      subject,
      middle: median(values),
      low: quantile(values, 0.25),
      high: quantile(values, 0.75),
      text: boundOf(figure, subject) + written(median(values), figure.unit),
    }),
  );
  const axis = axisFor(bars);
  const ticks = ticksOf(figure, axis);
  const half = widest(ticks.map(({text}) => text)) / 2;
  const left = Math.max(half, widest(bars.map(({subject}) => subject))) + 2 * GAP;
  const right = Math.max(half, widest(bars.map(({text}) => text))) + 2 * GAP;
  const bottom = TOP + bars.length * ROW;
  const width = Math.max(left + PLOT + right, widthOf(figure.title) + 2 * GAP);
  const height = bottom + 26;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `  <style>${STYLE}</style>`,
    element('title', {}, figure.title),
    element('rect', {class: 'ground', width, height}),
    element('text', {class: 'title', x: GAP, y: 18}, figure.title),
    ...drawAxis(ticks, axis, left, bottom),
    ...bars.flatMap((bar, index) => drawRow(figure, bar, axis, left, TOP + index * ROW)),
    '</svg>\n',
  ].join('\n');
}
