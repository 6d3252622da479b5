/** What stands in docs/performance.md? Prose that people write, and between markers what the bench has found. */
import {mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import type {Figure} from '../measure/figure.js';
import type {Report} from './json.js';
import {plot} from './svg.js';
import {linesOf, MARK, outcomes, unmeasured} from './words.js';

const END = '<!-- until here -->';

/** Where a part begins: `machine`, or the letter of a case. */
export function marker(part: string): string {
  return `<!-- npm run docs:performance writes what follows: ${part} -->`;
}

/** The parts that a page has places for. */
function placesOf(page: string): string[] {
  return [...page.matchAll(/^<!-- npm run docs:performance writes what follows: (\S+) -->$/gm)].map(
    ([, part = '']) => part,
  );
}

/** Throws unless the page has one place for each part, and no others. */
function checkPlaces(page: string, parts: readonly string[]): void {
  const places = placesOf(page);
  const wrong = [
    ...parts.filter(part => !places.includes(part)).map(part => `it has no line "${marker(part)}"`),
    ...places.filter(place => !parts.includes(place)).map(place => `there is nothing for "${marker(place)}"`),
    ...places
      .filter((place, index) => places.indexOf(place) < index)
      .map(place => `twice: "${marker(place)}"`),
  ];
  if (wrong.length > 0) throw new Error(`docs/performance.md: ${wrong.join('; ')}`);
}

/** The page with new parts; everything between them stays as it is. */
export function fill(page: string, parts: ReadonlyMap<string, string>): string {
  checkPlaces(page, [...parts.keys()]);
  let filled = page;
  for (const [part, text] of parts) {
    const begin = filled.indexOf(marker(part)) + marker(part).length;
    const end = filled.indexOf(END, begin);
    const next = filled.indexOf('<!-- npm run', begin);
    if (end < 0 || (next >= 0 && next < end))
      throw new Error(`docs/performance.md: no "${END}" after "${marker(part)}"`);
    filled = `${filled.slice(0, begin)}\n\n${text}\n\n${filled.slice(end)}`;
  }
  return filled;
}

function table(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows;
  const line = (cells: readonly string[]) =>
    `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '---:'))), ...body.map(line)].join(
    '\n',
  );
}

/** The goals of some figures, one a row. */
function goalsOf(figures: readonly Figure[]): string[] {
  const rows = figures.flatMap(figure =>
    outcomes(figure).map(({goal, found, met}) => [goal, found, MARK[`${met}`]]),
  );
  return rows.length > 0 ? [table([['goal', 'found', ''], ...rows])] : [];
}

/** One figure: its title, its plot, its table, and its goals. */
export function sectionOf(figure: Figure, plotName: string): string {
  const head = ['', 'median', 'quartiles', `x ${figure.yardstick}`];
  const lines = linesOf(figure).map(({subject, median, spread, ratio}) => [subject, median, spread, ratio]);
  return [
    `### ${figure.title[0]?.toUpperCase()}${figure.title.slice(1)}`,
    ...(figure.note === undefined ? [] : [`${figure.note}.`]),
    `![${figure.title}: the table below as a plot](${plotName})`,
    table([head, ...lines]),
    ...unmeasured(figure).map(line => `${line}.`),
    ...goalsOf([figure]),
  ].join('\n\n');
}

/** When and on what it was measured, and how many goals were met. */
function machineOf(report: Report): string {
  const all = report.figures.flatMap(outcomes);
  const met = all.filter(outcome => outcome.met).length;
  const {date, kernel, node, cpu, cpus, memoryGiB, load, effort} = report;
  return [
    `Measured on ${date.slice(0, 10)} with Linux ${kernel} and Node ${node} on ${cpus} processors (${cpu}) with ${memoryGiB} GiB of memory.`,
    `When it began, ${load.toFixed(1)} tasks wanted a processor (the load of the last minute). ${effort.rounds} rounds, fewer where a line takes seconds.`,
    `Of ${all.length} goals ${met} were met.`,
  ].join('\n');
}

export interface Page {
  /** What stands between the markers, by part. */
  readonly parts: ReadonlyMap<string, string>;
  /** The plots, by their names beside the page. */
  readonly plots: ReadonlyMap<string, string>;
}

/** What a report gives. */
export function pageOf(report: Report): Page {
  const parts = new Map([['machine', machineOf(report)]]);
  const plots = new Map<string, string>();
  for (const letter of new Set(report.figures.map(figure => figure.case))) {
    const figures = report.figures.filter(figure => figure.case === letter);
    const sections = figures.map((figure, index) => {
      const name = `performance/${letter}-${index + 1}.svg`;
      plots.set(name, plot(figure));
      return sectionOf(figure, name);
    });
    parts.set(letter, sections.join('\n\n'));
  }
  return {parts, plots};
}

/** Throws unless docs/performance.md has a place for each of these cases, and for no other. */
export function checkPage(docs: URL, letters: readonly string[]): void {
  checkPlaces(readFileSync(new URL('performance.md', docs), 'utf8'), ['machine', ...letters]);
}

/** Writes a report into the page, and its plots into the folder beside it, in the place of all older ones. */
export function writePage(docs: URL, report: Report): void {
  const page = new URL('performance.md', docs);
  const {parts, plots} = pageOf(report);
  const text = fill(readFileSync(page, 'utf8'), parts);
  const folder = new URL('performance/', docs);
  rmSync(folder, {recursive: true, force: true});
  mkdirSync(folder);
  for (const [name, svg] of plots) writeFileSync(new URL(name, docs), svg);
  writeFileSync(page, text);
}
