/** How is a case with one figure made? Operations of a module, beside what C needs for the same. */
import type {Case, Goal} from './figure.js';
import type {Operations} from './operation.js';
import {inNode, sideBySide, type Subject} from './side-by-side.js';

export interface BesideC {
  readonly letter: string;
  readonly title: string;
  /** URL of the module with the operations. */
  readonly module: string;
  readonly operations: Operations;
  readonly inC: readonly Subject[];
  /** One of `inC`. */
  readonly yardstick: string;
  readonly goals: readonly Goal[];
}

export function besideC({letter, title, module, operations, inC, yardstick, goals}: BesideC): Case {
  const subjects = [...inC, ...Object.keys(operations).map(name => inNode(module, name))];
  return {
    letter,
    title,
    async run(directory, effort) {
      const {rows, absent} = await sideBySide(directory, subjects, effort);
      return [{case: letter, title, unit: 'ns', yardstick, rows, absent, goals}];
    },
  };
}
