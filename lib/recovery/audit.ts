/** What was done to whose lock, by whom, and why? An append-only log whose records are chained by their hashes. */
import {createHash} from 'node:crypto';
import {createReadStream, constants, fstatSync, ftruncateSync, readSync, writeSync} from 'node:fs';
import {createInterface} from 'node:readline';
import {join} from 'node:path';
import {LockError} from '../errors.js';
import {LockFile} from '../os/lock-file.js';
import {syncDescriptor} from '../os/durable.js';
import {errnoOf, hasCode, SystemError} from '../os/system-error.js';
import type {System} from '../os/system.js';

/** One record of the log; the fields of an event are its own. */
export interface AuditRecord {
  readonly seq: number;
  readonly time: string;
  readonly event: string;
  readonly lock: string;
  readonly by: {readonly node: string; readonly pid: number; readonly uid: number; readonly bootId: string};
  /** Hash of the record before; 64 zeros in the first. */
  readonly prev: string;
  /** SHA-256 of this record's JSON without this field. */
  readonly hash: string;
  readonly [fact: string]: unknown;
}

export interface AuditReport {
  readonly path: string;
  readonly records: number;
  readonly ok: boolean;
  /** Lines that break the chain, from 1 on, and why. */
  readonly problems: readonly {readonly line: number; readonly why: string}[];
  /** The last append was cut short; it was never confirmed, and the next append removes it. */
  readonly torn: boolean;
}

const GENESIS = '0'.repeat(64);

export function auditPath(state: string): string {
  return join(state, 'audit.jsonl');
}

function hashOf(record: Omit<AuditRecord, 'hash'>): string {
  return createHash('sha256').update(JSON.stringify(record)).digest('hex');
}

/** Parses a line and checks its own hash; a string says what is wrong. */
function parseRecord(line: string): AuditRecord | string {
  let record: AuditRecord;
  try {
    record = JSON.parse(line) as AuditRecord;
  } catch {
    return 'it is not JSON';
  }
  const {hash, ...rest} = record;
  return hashOf(rest) === hash ? record : 'its hash does not fit its content';
}

/** The end of the file up to its last newline: where that is, and the last line before it. */
function readTail(fd: number): {end: number; line: string | undefined} {
  const {size} = fstatSync(fd);
  for (let length = Math.min(size, 65_536); ; length = Math.min(size, length * 2)) {
    const buffer = Buffer.alloc(length);
    readSync(fd, buffer, 0, length, size - length);
    const last = buffer.lastIndexOf(10);
    const before = last <= 0 ? -1 : buffer.lastIndexOf(10, last - 1);
    if (last === -1 && length === size) return {end: 0, line: undefined};
    if (last !== -1 && (before !== -1 || length === size)) {
      return {end: size - length + last + 1, line: buffer.toString('utf8', before + 1, last)};
    }
  }
}

/** The last record, after what an append that was killed left behind has been cut off. */
function lastRecord(file: LockFile): {end: number; record: AuditRecord | undefined} {
  const {end, line} = readTail(file.fd);
  if (fstatSync(file.fd).size > end) ftruncateSync(file.fd, end);
  if (line === undefined) return {end, record: undefined};
  const record = parseRecord(line);
  if (typeof record === 'string')
    throw new LockError('ERR_AUDIT_BROKEN', `the last record of ${file.path}: ${record}`, {path: file.path});
  return {end, record};
}

function writeRecord(file: LockFile, at: number, record: AuditRecord): void {
  const line = Buffer.from(`${JSON.stringify(record)}\n`);
  try {
    const written = writeSync(file.fd, line, 0, line.length, at);
    if (written !== line.length) throw new SystemError(-errnoOf('ENOSPC'), 'write', file.path);
  } catch (error) {
    ftruncateSync(file.fd, at);
    throw error;
  }
}

/** Appends a record and returns it when it is on the disk. On failure the log is as it was, and what the record describes must not happen. */
export async function appendAudit(
  system: System,
  state: string,
  event: string,
  lock: string,
  facts: Readonly<Record<string, unknown>>,
  signal?: AbortSignal,
): Promise<AuditRecord> {
  using file = LockFile.open(auditPath(state), {flags: constants.O_RDWR | constants.O_CREAT});
  await file.wait('exclusive', {signal});
  const {end, record: last} = lastRecord(file);
  const by = {node: system.node, pid: process.pid, uid: system.uid, bootId: system.bootId};
  const body = {
    seq: (last?.seq ?? 0) + 1,
    time: new Date(system.now()).toISOString(),
    event,
    lock,
    by,
    ...facts,
    prev: last?.hash ?? GENESIS,
  };
  const record = {...body, hash: hashOf(body)} as AuditRecord;
  writeRecord(file, end, record);
  await syncDescriptor(file.fd);
  return record;
}

/** Reads the log from its beginning. Yields each line with what is wrong with it, if anything is. */
async function* readLog(
  path: string,
): AsyncGenerator<{line: number; record: AuditRecord | undefined; why: string | undefined}> {
  let prev = GENESIS;
  let seq = 0;
  let line = 0;
  for await (const text of createInterface({
    input: createReadStream(path),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    line++;
    const record = parseRecord(text);
    if (typeof record === 'string') {
      yield {line, record: undefined, why: record};
      continue;
    }
    const chained = record.prev === prev && record.seq === seq + 1;
    yield {line, record, why: chained ? undefined : 'it does not follow the record before it'};
    prev = record.hash;
    seq = record.seq;
  }
}

/** All records that can be read, oldest first; none when there is no log yet. */
export async function* auditRecords(state: string): AsyncGenerator<AuditRecord> {
  try {
    for await (const {record} of readLog(auditPath(state))) if (record) yield record;
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

/** Checks the whole chain. A log cut at its end by somebody can't be told from a shorter one: certificates name `seq` and `hash`. */
export async function verifyAudit(state: string): Promise<AuditReport> {
  const path = auditPath(state);
  const problems: {line: number; why: string}[] = [];
  let records = 0;
  try {
    using file = LockFile.open(path, {flags: constants.O_RDONLY});
    await file.wait('shared');
    const torn = fstatSync(file.fd).size > readTail(file.fd).end;
    for await (const {line, record, why} of readLog(path)) {
      if (record) records++;
      if (why !== undefined) problems.push({line, why});
    }
    if (torn) problems.pop();
    return {path, records, ok: problems.length === 0, problems, torn};
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return {path, records: 0, ok: true, problems: [], torn: false};
    throw error;
  }
}
