/** What was done to whose lock, by whom, and why? An append-only log whose records are chained by their hashes. */
import {createHash} from 'node:crypto';
import {createReadStream, constants, fstatSync, ftruncateSync, readSync, writeSync} from 'node:fs';
import {open} from 'node:fs/promises';
import {createInterface} from 'node:readline';
import {dirname, join} from 'node:path';
import {LockError} from '../errors.js';
import {LockFile} from '../os/lock-file.js';
import {syncDescriptor, syncDirectory} from '../os/durable.js';
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

/** Most records are shorter than that, so that one read shows the last of them. */
const TAIL = 8192;

/** The end of the file up to its last newline: where that is, and the last line before it. */
function readTail(fd: number): {end: number; line: string | undefined} {
  const {size} = fstatSync(fd);
  for (let length = Math.min(size, TAIL); ; length = Math.min(size, length * 2)) {
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

/** What every record begins with, so that one that was cut short is known from a text of somebody else. */
const BEGINNING = '{"seq":';

function broken(path: string, why: string): LockError {
  return new LockError('ERR_AUDIT_BROKEN', `the end of ${path} is no audit record: ${why}`, {path});
}

/** Cuts off what an append that was killed left behind, and nothing else. */
function cutTorn(file: LockFile, end: number): void {
  const {size} = fstatSync(file.fd);
  if (size === end) return;
  const start = Buffer.alloc(Math.min(BEGINNING.length, size - end));
  readSync(file.fd, start, 0, start.length, end);
  if (start.toString() !== BEGINNING.slice(0, start.length)) throw broken(file.path, 'it begins as none');
  ftruncateSync(file.fd, end);
}

/** The last record. A file that is no audit log is refused as it is. */
function lastRecord(file: LockFile): {end: number; record: AuditRecord | undefined} {
  if (!fstatSync(file.fd).isFile()) throw broken(file.path, 'it is no regular file');
  const {end, line} = readTail(file.fd);
  const record = line === undefined ? undefined : parseRecord(line);
  if (typeof record === 'string') throw broken(file.path, record);
  cutTorn(file, end);
  return {end, record};
}

function writeRecord(file: LockFile, at: number, record: AuditRecord): void {
  const line = Buffer.from(recordLine(record));
  try {
    const written = writeSync(file.fd, line, 0, line.length, at);
    if (written !== line.length) throw new SystemError(-errnoOf('ENOSPC'), 'write', file.path);
  } catch (error) {
    ftruncateSync(file.fd, at);
    throw error;
  }
}

function recordLine(record: AuditRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** Where records go. */
export interface AuditSink {
  /** Of the place, for people. */
  readonly name: string;
  /** Puts there what follows its last record, and resolves when it is there to stay. On failure nothing was added. */
  append(next: (last: AuditRecord | undefined) => AuditRecord, signal?: AbortSignal): Promise<AuditRecord>;
}

/** A log in a file: one chain for all who write to it. */
export function auditFile(path: string): AuditSink {
  return {
    name: path,
    async append(next, signal) {
      using file = LockFile.open(path, {flags: constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK});
      await file.wait('exclusive', {signal});
      const {end, record: last} = lastRecord(file);
      const record = next(last);
      writeRecord(file, end, record);
      await syncDescriptor(file.fd);
      if (last === undefined) await syncDirectory(dirname(path));
      return record;
    },
  };
}

/** A log that is handed on line by line: one chain for each of these. `write` resolves when somebody has the line. */
export function auditStream(name: string, write: (line: string) => Promise<void>): AuditSink {
  let last: AuditRecord | undefined;
  return {
    name,
    async append(next) {
      const record = next(last);
      await write(recordLine(record));
      last = record;
      return record;
    },
  };
}

/** Appends a record to the log of STATE, or elsewhere. On failure the log is as it was, and what the record describes must not happen. */
export async function appendAudit(
  system: System,
  to: string | AuditSink,
  event: string,
  lock: string,
  facts: Readonly<Record<string, unknown>>,
  signal?: AbortSignal,
): Promise<AuditRecord> {
  const sink = typeof to === 'string' ? auditFile(auditPath(to)) : to;
  const by = {node: system.node, pid: process.pid, uid: system.uid, bootId: system.bootId};
  return sink.append(last => {
    const body = {
      seq: (last?.seq ?? 0) + 1,
      time: new Date(system.now()).toISOString(),
      event,
      lock,
      by,
      ...facts,
      prev: last?.hash ?? GENESIS,
    };
    return {...body, hash: hashOf(body)};
  }, signal);
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

/** All records of a log that can be read, oldest first. Rejects with ENOENT where there is no such file. */
export async function* auditRecordsIn(path: string): AsyncGenerator<AuditRecord> {
  for await (const {record} of readLog(path)) if (record) yield record;
}

/** As above, of the log of STATE; none when there is no log yet. */
export async function* auditRecords(state: string): AsyncGenerator<AuditRecord> {
  try {
    yield* auditRecordsIn(auditPath(state));
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

/** The last records of the log of STATE, oldest first, without reading all of it; none when there is no log yet. */
export async function lastAuditRecords(state: string, count: number): Promise<AuditRecord[]> {
  const file = await open(auditPath(state)).catch((error: unknown) => {
    if (!hasCode(error, 'ENOENT')) throw error;
  });
  if (!file) return [];
  try {
    const {size} = await file.stat();
    for (let length = Math.min(size, 65_536); ; length = Math.min(size, 4 * length)) {
      const {buffer} = await file.read(Buffer.alloc(length), 0, length, size - length);
      // Behind the last newline there is nothing, or an append that was never confirmed.
      const lines = buffer.toString('utf8').split('\n').slice(0, -1);
      const whole = length === size ? lines : lines.slice(1);
      if (whole.length < count && length < size) continue;
      return whole.slice(-count).flatMap(line => {
        const record = parseRecord(line);
        return typeof record === 'string' ? [] : [record];
      });
    }
  } finally {
    await file.close();
  }
}

/** Checks the whole chain of a log. One cut at its end by somebody can't be told from a shorter one: certificates name `seq` and `hash`. */
export async function verifyAuditIn(path: string): Promise<AuditReport> {
  using file = LockFile.open(path, {flags: constants.O_RDONLY});
  await file.wait('shared');
  const torn = fstatSync(file.fd).size > readTail(file.fd).end;
  const problems: {line: number; why: string}[] = [];
  let records = 0;
  for await (const {line, record, why} of readLog(path)) {
    if (record) records++;
    if (why !== undefined) problems.push({line, why});
  }
  if (torn) problems.pop();
  return {path, records, ok: problems.length === 0, problems, torn};
}

/** As above, of the log of STATE; one that is not there yet is whole. */
export async function verifyAudit(state: string): Promise<AuditReport> {
  const path = auditPath(state);
  try {
    return await verifyAuditIn(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return {path, records: 0, ok: true, problems: [], torn: false};
    throw error;
  }
}

/**
 * Takes what was recorded elsewhere into the log of STATE: each record whole, as a fact of a record of our own, so that both
 * chains can still be checked. One that is there already is left out. Rejects with ERR_AUDIT_BROKEN where the other chain is.
 */
export async function importAudit(
  system: System,
  state: string,
  path: string,
): Promise<{readonly added: number; readonly known: number}> {
  const {ok, problems} = await verifyAuditIn(path);
  if (!ok)
    throw new LockError(
      'ERR_AUDIT_BROKEN',
      `${path} is not imported: line ${problems[0]?.line}: ${problems[0]?.why}`,
      {path},
    );
  const known = new Set<unknown>();
  for await (const {event, record} of auditRecords(state))
    if (event === 'imported') known.add((record as AuditRecord).hash);
  let added = 0;
  let seen = 0;
  for await (const record of auditRecordsIn(path)) {
    seen++;
    if (known.has(record.hash)) continue;
    await appendAudit(system, state, 'imported', record.lock, {from: path, record});
    added++;
  }
  return {added, known: seen - added};
}
