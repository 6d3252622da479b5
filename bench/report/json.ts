/** What is kept of a run? Every figure, when and where it was measured. */
import {cpus, release, totalmem} from 'node:os';
import type {Effort, Figure} from '../measure/figure.js';
import {outcomes} from './words.js';

export interface Machine {
  /** ISO 8601. */
  readonly date: string;
  readonly kernel: string;
  readonly node: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryGiB: number;
}

export interface Report extends Machine {
  readonly effort: Effort;
  readonly figures: readonly Figure[];
}

export function describeMachine(): Machine {
  const all = cpus();
  return {
    date: new Date().toISOString(),
    kernel: release(),
    node: process.version,
    cpu: all[0]?.model ?? 'unknown',
    cpus: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
  };
}

/** Rows are objects by subject: all figures, one a round, in the unit of their table. */
export function toJson(report: Report): string {
  const figures = report.figures.map(figure => ({
    ...figure,
    rows: Object.fromEntries(figure.rows),
    absent: Object.fromEntries(figure.absent),
    excused: Object.fromEntries(figure.excused ?? []),
    goals: outcomes(figure),
    limits: undefined,
  }));
  return JSON.stringify({...report, figures}, null, 2);
}
