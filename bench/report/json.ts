/** What is kept of a run? Every figure, when and where it was measured. */
import {cpus, loadavg, release, totalmem} from 'node:os';
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
  /** How many tasks wanted a processor in the last minute (uptime(1)): what else the machine did before. */
  readonly load: number;
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
    load: loadavg()[0] ?? 0,
  };
}

/** Rows are objects by subject: all figures, one a round, in the unit of their table. */
export function toJson(report: Report): string {
  const figures = report.figures.map(figure => ({
    ...figure,
    rows: Object.fromEntries(figure.rows),
    absent: Object.fromEntries(figure.absent),
    excused: Object.fromEntries(figure.excused ?? []),
    outcomes: outcomes(figure),
  }));
  return JSON.stringify({...report, figures}, null, 2);
}

interface KeptFigure extends Omit<Figure, 'rows' | 'absent' | 'excused'> {
  readonly rows: Readonly<Record<string, readonly number[]>>;
  readonly absent: Readonly<Record<string, string>>;
  readonly excused: Readonly<Record<string, string>>;
}

/** What toJson made. */
export function fromJson(text: string): Report {
  const kept = JSON.parse(text) as Omit<Report, 'figures'> & {figures: readonly KeptFigure[]};
  const figures = kept.figures.map(figure => ({
    ...figure,
    rows: new Map(Object.entries(figure.rows)),
    absent: new Map(Object.entries(figure.absent)),
    excused: new Map(Object.entries(figure.excused)),
  }));
  return {...kept, figures};
}
