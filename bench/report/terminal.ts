/** What does a person at a terminal see? A table for each figure, and what became of its goals. */
import type {Figure} from '../measure/figure.js';
import {linesOf, MARK, outcomes, unmeasured} from './words.js';

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)));
  const cell = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0);
  return rows.map(row => `  ${row.map(cell).join('  ')}`.trimEnd()).join('\n');
}

export function shown(figure: Figure): string {
  const head = ['', 'median', 'quartiles', `x ${figure.yardstick}`];
  const lines = linesOf(figure).map(({subject, median, spread, ratio}) => [subject, median, spread, ratio]);
  const goals = outcomes(figure).map(({goal, found, met}) => `  ${MARK[`${met}`]}: ${goal} (${found})`);
  return [
    `(${figure.case}) ${figure.title}`,
    ...(figure.note === undefined ? [] : [`  ${figure.note}`]),
    table([head, ...lines]),
    ...unmeasured(figure).map(line => `  ${line}`),
    ...goals,
    '',
  ].join('\n');
}
