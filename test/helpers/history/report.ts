/** What did the history of a whole test run show? One test of its report: how much was seen, and which lines broke a rule. */
import {chmodSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {TapReport} from '../../machine/tap.js';
import {checkHistory, describe, type Judgement} from './checker.js';
import {recording} from './recording.js';

/** A history that is being written by everybody who gets `environment`. */
export interface Recorded {
  readonly environment: NodeJS.ProcessEnv;
  /** Judges it and adds the result; a history that breaks a rule stays where it is, and the report says where. */
  report(report: TapReport): Promise<void>;
}

function count({events, locks, processes, acquisitions, handovers}: Judgement): string {
  return `${events} events of ${processes} processes on ${locks} locks, ${acquisitions} acquisitions, ${handovers} handovers`;
}

/** Begins a history in a directory of its own, where other users can write to it as well. */
export function recordRun(): Recorded {
  const directory = mkdtempSync(join(tmpdir(), 'locksmith-history-'));
  chmodSync(directory, 0o755);
  const path = join(directory, 'history.jsonl');
  return {
    environment: {...process.env, ...recording(path)},
    async report(report) {
      const judgement = await checkHistory(path);
      const title = `history: ${count(judgement)}`;
      if (judgement.violations.length === 0) {
        report.pass(title);
        rmSync(directory, {recursive: true});
      } else {
        report.fail(title, {history: path, violations: judgement.violations.map(describe).join('\n')});
      }
    },
  };
}
