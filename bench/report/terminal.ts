/** What does a person at a terminal see? A table for each figure, and what became of its goals. */
import type {Figure} from '../measure/figure.js';
import {linesOf, outcomes} from './words.js';

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)));
  const cell = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0);
  return rows.map(row => `  ${row.map(cell).join('  ')}`.trimEnd()).join('\n');
}

const MARK = {true: 'met', false: 'NOT MET', undefined: 'not known'} as const;

export function shown(figure: Figure): string {
  const head = ['', 'median', 'quartiles', `x ${figure.yardstick}`];
  const lines = linesOf(figure).map(({subject, median, spread, ratio}) => [subject, median, spread, ratio]);
  const absent = [...figure.absent, ...(figure.excused ?? [])].map(
    ([subject, why]) => `  ${subject}: not measured: ${why}`,
  );
  const goals = outcomes(figure).map(({goal, found, met}) => `  ${MARK[`${met}`]}: ${goal} (${found})`);
  return [`(${figure.case}) ${figure.title}`, table([head, ...lines]), ...absent, ...goals, ''].join('\n');
}
