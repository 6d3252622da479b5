/** `locksmith log`: what was done to whose lock, and is the log whole? */
import {EXIT} from '../../errors.js';
import {system} from '../../os/system.js';
import {
  type AuditRecord,
  auditRecords,
  auditRecordsIn,
  type AuditReport,
  importAudit,
  verifyAudit,
  verifyAuditIn,
} from '../../recovery/audit.js';
import type {CommandSpec, Given} from '../command.js';
import {paint, print, printJson} from '../output.js';
import {currentRoots, findByFile, isFile} from '../resolve.js';

interface LogGiven extends Given {
  readonly verify?: true;
  readonly from?: string;
  readonly import?: string;
}

function clearedText({outcome, epochs, reason}: AuditRecord): string {
  const {before, after} = epochs as {before: number; after: number};
  return `${outcome as string}, epoch ${before} -> ${after}: ${reason as string}`;
}

/** What an event says beyond who, when and which lock; one that has no words of its own shows its reason. */
const EVENT_TEXT: ReadonlyMap<string, (record: AuditRecord) => string> = new Map([
  ['all-clear', clearedText],
  ['imported', importedText],
]);

function wordsOf(record: AuditRecord): string {
  const text = record['rollout'] === undefined ? reasonText : rolloutText;
  return (EVENT_TEXT.get(record.event) ?? text)(record);
}

/** What was recorded elsewhere, as it was there. */
function importedText({record}: AuditRecord): string {
  const {time, event, by, ...facts} = record as AuditRecord;
  return `${event} of ${time}, pid ${by.pid} (uid ${by.uid}) on ${by.node}: ${wordsOf({...facts, time, event, by})}`;
}

function reasonText({reason = ''}: AuditRecord): string {
  return String(reason);
}

/** A step of a roll-out of the fleet. */
function rolloutText(record: AuditRecord): string {
  const {rollout, epoch} = record as AuditRecord & {readonly epoch?: number};
  const why = reasonText(record);
  return `roll-out ${rollout as string}, epoch ${epoch ?? '?'}${why === '' ? '' : `: ${why}`}`;
}

function recordText(record: AuditRecord): string {
  const {seq, time, event, lock, by} = record;
  return `${String(seq).padStart(5)}  ${time}  ${event.padEnd(18)}  ${lock}  pid ${by.pid} (uid ${by.uid}) on ${by.node}  ${wordsOf(record)}`;
}

async function list(
  records: AsyncIterable<AuditRecord>,
  lock: string | undefined,
  json: Given['json'],
): Promise<number> {
  for await (const record of records) {
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

function verify(report: AuditReport, json: Given['json']): number {
  if (json) printJson(report);
  else print(reportLines(report).join('\n'));
  return report.ok ? EXIT.done : EXIT.failure;
}

async function bringIn(state: string, path: string, json: Given['json']): Promise<number> {
  const imported = await importAudit(system(), state, path);
  if (json) printJson({path, ...imported});
  else print(`${path}: ${imported.added} records imported, ${imported.known} were there already`);
  return EXIT.done;
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
  options: [
    {flags: '--verify', what: 'check the chain of hashes of the whole log'},
    {flags: '--from <file>', what: 'look into that file, which --audit-to has written'},
    {flags: '--import <file>', what: 'take the records of that file into the log, each once'},
  ],
  examples: [
    ['locksmith log aim_lock_config', 'what was done to one lock'],
    ['locksmith log --verify', 'is the log whole?'],
    ['locksmith log --import /mnt/audit.jsonl', 'what a rescue shell has recorded elsewhere'],
  ],
  about:
    'Each record is chained to the one before it by its hash, and is on the disk before what it describes is done. With --json: one record a line.',
  exits: [
    [0, 'done; with --verify: the chain is whole'],
    [2, 'the chain is broken, or a failure'],
    [77, 'not permitted'],
  ],
  async run([target], {verify: check, from, import: other, json}) {
    const {state} = currentRoots();
    if (other !== undefined) return bringIn(state, other, json);
    if (check) return verify(await (from === undefined ? verifyAudit(state) : verifyAuditIn(from)), json);
    const records = from === undefined ? auditRecords(state) : auditRecordsIn(from);
    return list(records, nameOf(target), json);
  },
};
