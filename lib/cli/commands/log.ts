/** `locksmith log`: what was done to whose lock, and is the log whole? */
import {EXIT} from '../../errors.js';
import {type AuditRecord, type AuditReport, auditRecords, verifyAudit} from '../../recovery/audit.js';
import type {CommandSpec, Given} from '../command.js';
import {paint, print, printJson} from '../output.js';
import {currentRoots, findByFile, isFile} from '../resolve.js';

interface LogGiven extends Given {
  readonly verify?: true;
}

function clearedText({outcome, epochs, reason}: AuditRecord): string {
  const {before, after} = epochs as {before: number; after: number};
  return `${outcome as string}, epoch ${before} -> ${after}: ${reason as string}`;
}

/** What an event says beyond who, when and which lock; one that has no words of its own shows its reason. */
const EVENT_TEXT: ReadonlyMap<string, (record: AuditRecord) => string> = new Map([
  ['all-clear', clearedText],
]);

function reasonText({reason = ''}: AuditRecord): string {
  return String(reason);
}

function recordText(record: AuditRecord): string {
  const {seq, time, event, lock, by} = record;
  const words = (EVENT_TEXT.get(event) ?? reasonText)(record);
  return `${String(seq).padStart(5)}  ${time}  ${event.padEnd(18)}  ${lock}  pid ${by.pid} (uid ${by.uid}) on ${by.node}  ${words}`;
}

async function list(state: string, lock: string | undefined, json: Given['json']): Promise<number> {
  for await (const record of auditRecords(state)) {
    if (lock !== undefined && record.lock !== lock) continue;
    if (json) printJson(record);
    else print(recordText(record));
  }
  return EXIT.done;
}

function reportLines({path, records, ok, problems, torn}: AuditReport): string[] {
  const verdict = ok
    ? paint(process.stdout, 'green', 'the chain is whole')
    : paint(process.stdout, 'red', 'the chain is broken');
  return [
    `${path}: ${records} records, ${verdict}`,
    ...problems.map(({line, why}) => `  line ${line}: ${why}`),
    ...(torn
      ? ['  its last line was cut short: that record was never confirmed, and the next one replaces it']
      : []),
    ...(ok ? [] : ['  next: keep the file as evidence and move it away; a new one then starts']),
  ];
}

async function verify(state: string, json: Given['json']): Promise<number> {
  const report = await verifyAudit(state);
  if (json) printJson(report);
  else print(reportLines(report).join('\n'));
  return report.ok ? EXIT.done : EXIT.failure;
}

/** The name of the lock; one that is gone may still be in the log. */
function nameOf(target: string | undefined): string | undefined {
  return target !== undefined && isFile(target) ? (findByFile(target)?.name ?? target) : target;
}

export const logCommand: CommandSpec<LogGiven> = {
  name: 'log',
  group: 'Look:',
  summary: 'show the audit log, or check its hash chain',
  arguments: [['[lock]', 'only what was done to this NAME or FILE']],
  options: [{flags: '--verify', what: 'check the chain of hashes of the whole log'}],
  examples: [
    ['locksmith log aim_lock_config', 'what was done to one lock'],
    ['locksmith log --verify', 'is the log whole?'],
  ],
  about:
    'Each record is chained to the one before it by its hash, and is on the disk before what it describes is done. With --json: one record a line.',
  exits: [
    [0, 'done; with --verify: the chain is whole'],
    [2, 'the chain is broken, or a failure'],
    [77, 'not permitted'],
  ],
  async run([target], {verify: check, json}) {
    const {state} = currentRoots();
    return check ? verify(state, json) : list(state, nameOf(target), json);
  },
};
