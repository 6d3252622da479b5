/** Did everything run? Every figure has somebody in it, and nobody is missing. Who is excused is told, and is no failure. */
import type {Figure} from '../measure/figure.js';

export interface Completeness {
  /** Who is missing, of whom, and why. */
  readonly told: readonly string[];
  /** Figures. */
  readonly passed: number;
  readonly failed: number;
}

export function completeness(figures: readonly Figure[]): Completeness {
  const told = (why: (figure: Figure) => ReadonlyMap<string, string> | undefined) =>
    figures.flatMap(figure =>
      [...(why(figure) ?? [])].map(([who, text]) => `(${figure.case}) ${figure.title}: ${who}: ${text}`),
    );
  const complete = figures.filter(({rows, absent}) => rows.size > 0 && absent.size === 0);
  return {
    told: [...told(({excused}) => excused), ...told(({absent}) => absent)],
    passed: complete.length,
    failed: figures.length - complete.length,
  };
}
