/** Where do the records of a taking back go, when STATE's log is not to be had? To another file, or to whoever reads stdout. */
import {fstatSync} from 'node:fs';
import {LockError} from '../errors.js';
import {deviceOf} from '../os/mounts.js';
import {auditFile, type AuditSink, auditStream} from '../recovery/audit.js';
import type {OptionSpec} from './command.js';

/** Who reads stdout must take a record within this time, in milliseconds. */
const PATIENCE = 10_000;

export const AUDIT_OPTION: OptionSpec = {
  flags: '--audit-to <file>',
  what: 'write the audit records to that file instead; - prints them on stdout, a line each, and the steps on stderr',
};

/** Where stdout was closed, Node has put /dev/null in its place: major 1, minor 3 (null(4)). */
function leadsNowhere(): boolean {
  const stat = fstatSync(1, {bigint: true});
  const {major, minor} = deviceOf(stat.rdev);
  return stat.isCharacterDevice() && major === 1 && minor === 3;
}

/** Resolves when the line has left this process. */
function hand(line: string): Promise<void> {
  if (leadsNowhere()) return Promise.reject(new Error('stdout is closed, or leads to /dev/null'));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`nobody has read stdout for ${PATIENCE / 1000} s`)),
      PATIENCE,
    );
    process.stdout.write(line, error => {
      clearTimeout(timer);
      if (error) reject(error);
      else resolve();
    });
  });
}

/** The place that --audit-to names; undefined when it was not given. */
export function auditSink(given: string | undefined): AuditSink | undefined {
  if (given === undefined) return undefined;
  if (given === '') throw new LockError('ERR_ARGUMENT', '--audit-to needs a file, or - for stdout');
  return given === '-' ? auditStream('stdout', hand) : auditFile(given);
}
