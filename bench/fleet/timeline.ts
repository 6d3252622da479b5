/** How does a roll-out go through a fleet? The share of nodes that have come so far, over time: an SVG that needs nothing else. */
import {element, STYLE, widthOf} from '../report/drawing.js';
import {written} from '../report/words.js';

export interface Curve {
  readonly name: string;
  /** When each node had come so far, in milliseconds since the beginning. */
  readonly at: readonly number[];
}

/** All lengths are in pixels. */
const PLOT = {width: 640, height: 260};
const LEFT = 56;
const TOP = 40;
const KEY = 20;
const GAP = 8;

/** Colours that are told apart also by those who see fewer of them, on light and on dark. */
const COLOURS = ['#8c959f', '#bf8700', '#0969da', '#1a7f37', '#cf222e', '#8250df'];

/** A round number of milliseconds for each part of the axis: at most six of them. */
function stepFor(end: number): number {
  const rough = end / 6;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 0.1)));
  return power * ([1, 2, 5, 10].find(factor => factor * power >= rough) ?? 10);
}

/** As many points as can be seen. */
function pointsOf(at: readonly number[], nodes: number, end: number): string {
  const sorted = at.toSorted((a, b) => a - b);
  const every = Math.max(1, Math.floor(sorted.length / 400));
  return sorted
    .flatMap((time, index) => {
      if (index % every !== 0 && index !== sorted.length - 1) return [];
      const x = LEFT + (PLOT.width * time) / end;
      const y = TOP + PLOT.height * (1 - (index + 1) / nodes);
      return [`${x.toFixed(1)},${y.toFixed(1)}`];
    })
    .join(' ');
}

function drawAxes(end: number): string[] {
  const [bottom, right] = [TOP + PLOT.height, LEFT + PLOT.width];
  const step = stepFor(end);
  const times = Array.from({length: Math.floor(end / step) + 1}, (_, index) => index * step);
  const shares = [0, 25, 50, 75, 100];
  return [
    ...times.flatMap(time => {
      const x = LEFT + (PLOT.width * time) / end;
      return [
        element('line', {class: 'axis', x1: x, y1: TOP, x2: x, y2: bottom}),
        element('text', {x, y: bottom + 16, 'text-anchor': 'middle'}, written(time, 'ms')),
      ];
    }),
    ...shares.flatMap(share => {
      const y = TOP + PLOT.height * (1 - share / 100);
      return [
        element('line', {class: 'axis', x1: LEFT, y1: y, x2: right, y2: y}),
        element('text', {x: LEFT - GAP, y: y + 4, 'text-anchor': 'end'}, `${share}%`),
      ];
    }),
  ];
}

/** A picture of the curves; each reaches 100 % where all nodes have come so far. */
export function timeline(title: string, nodes: number, curves: readonly Curve[]): string {
  const end =
    Math.max(1, ...curves.map(({at}) => at.reduce((latest, time) => Math.max(latest, time), 0))) * 1.02;
  const right = LEFT + PLOT.width;
  const left = right + 3 * GAP;
  const width = left + KEY + Math.max(...curves.map(({name}) => widthOf(name))) + 2 * GAP;
  const height = TOP + PLOT.height + 30;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `  <style>${STYLE}</style>`,
    element('title', {}, title),
    element('rect', {class: 'ground', width, height}),
    element('text', {class: 'title', x: GAP, y: 20}, title),
    ...drawAxes(end),
    ...curves.flatMap(({name, at}, index) => {
      const stroke = COLOURS[index % COLOURS.length] ?? '';
      const y = TOP + 8 + index * 22;
      return [
        element('polyline', {fill: 'none', stroke, 'stroke-width': 2, points: pointsOf(at, nodes, end)}),
        element('line', {stroke, 'stroke-width': 4, x1: left, y1: y, x2: left + KEY - GAP, y2: y}),
        element('text', {x: left + KEY, y: y + 4}, name),
      ];
    }),
    '</svg>\n',
  ].join('\n');
}
