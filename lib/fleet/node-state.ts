/**
 * What does this node know durably of the roll-outs of a lock? Below STATE/fleet, three files a lock:
 *
 * - `LOCK.json`: the highest epoch that was taken up, and the last change: what was applied, what was there before, how far it came;
 * - `LOCK.next`: the content to come;
 * - `LOCK.before`: the content that the change replaced.
 *
 * Each is replaced as a whole. One that is torn, or that somebody else has written, is told and never guessed.
 */
import {closeSync, constants, fstatSync, openSync, readdirSync, readFileSync} from 'node:fs';
import {mkdir} from 'node:fs/promises';
import {join} from 'node:path';
import {crc32} from 'node:zlib';
import {z} from 'zod';
import {LockError} from '../errors.js';
import {checkName, checkRoot, type Roots} from '../lock/layout.js';
import {sha256} from '../lock/update.js';
import {replaceFile, syncDirectory} from '../os/durable.js';
import {hasCode} from '../os/system-error.js';
import type {System} from '../os/system.js';
import {HEALTH} from './documents.js';

const hash = z.string().regex(/^[0-9a-f]{64}$/);

/** What a roll-out has changed here, or is about to. */
const change = z.object({
  rollout: z.string(),
  /** Of its plan; it is rolled back at the one above. */
  epoch: z.int().min(1),
  /** Of its content. */
  sha256: hash,
  /** Of what it replaced, which is in LOCK.before; null: nobody knows any more. */
  before: hash.nullable(),
  /** Those in -ing were written down before anything was changed: how far they came tells the hash of the file. */
  phase: z.enum(['applying', 'applied', 'rolling-back', 'rolled-back']),
  health: z.enum(HEALTH).optional(),
  /** Why it is not well. */
  reason: z.string().optional(),
});
export type NodeChange = z.infer<typeof change>;

const record = z.object({
  v: z.literal(1),
  lock: z.string(),
  /** The highest epoch of a roll-out that was taken up, and whose it is. 0: none yet. */
  seen: z.object({epoch: z.int().min(0), rollout: z.string()}),
  change: change.optional(),
});
export type NodeRecord = z.infer<typeof record>;

/** Longer than any record, in bytes. */
const LONGEST_RECORD = 64 * 1024;

function sumOf(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}

function broken(path: string, why: string): LockError {
  return new LockError('ERR_NODE_STATE', `${path} is not what Locksmith keeps there: ${why}`, {path});
}

/** Reads a file that only we, or root, can have written; undefined when there is none. */
function readOwn({uid}: System, path: string, longest: number): Buffer | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    if (hasCode(error, 'ELOOP')) throw broken(path, 'it is a symbolic link');
    throw error;
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw broken(path, 'it is no regular file');
    if (stat.uid !== 0 && stat.uid !== uid) throw broken(path, `it belongs to uid ${stat.uid}`);
    if (stat.mode & 0o022)
      throw broken(path, `others may write to it (mode ${(stat.mode & 0o7777).toString(8)})`);
    if (stat.size > longest) throw broken(path, `it has ${stat.size} bytes`);
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

function decode(path: string, text: string, lock: string): NodeRecord {
  const [sum, body] = [text.slice(0, 8), text.slice(9).trimEnd()];
  if (sum !== sumOf(body)) throw broken(path, 'it is torn: its checksum does not fit');
  const parsed = record.safeParse(JSON.parse(body));
  if (!parsed.success)
    throw broken(path, `${parsed.error.issues[0]?.path.join('.')}: ${parsed.error.issues[0]?.message}`);
  if (parsed.data.lock !== lock) throw broken(path, `it is about the lock ${parsed.data.lock}`);
  return parsed.data;
}

/** Where all of it is. */
export function fleetDirectory({state}: Roots): string {
  return join(state, 'fleet');
}

/** What is kept of one lock. */
export class NodeState {
  readonly #system: System;
  readonly #lock: string;
  readonly directory: string;

  constructor(system: System, roots: Roots, lock: string) {
    this.#system = system;
    this.#lock = checkName(lock);
    this.directory = fleetDirectory(roots);
  }

  /** A file that whoever fences a change may lock. */
  get gate(): string {
    return this.#path('gate');
  }

  /** Where the content to come is. */
  get next(): string {
    return this.#path('next');
  }

  /** Throws ERR_NODE_STATE, ERR_ROOT_UNSAFE or what node:fs throws. */
  read(): NodeRecord {
    const path = this.#path('json');
    const none: NodeRecord = {v: 1, lock: this.#lock, seen: {epoch: 0, rollout: ''}};
    if (!checkRoot(this.#system, this.directory)) return none;
    const text = readOwn(this.#system, path, LONGEST_RECORD);
    return text === undefined ? none : decode(path, text.toString(), this.#lock);
  }

  /** Resolves when it is there to stay. */
  async write(next: NodeRecord): Promise<void> {
    const body = JSON.stringify(next);
    await this.#replace('json', `${sumOf(body)} ${body}\n`);
  }

  async keepNext(content: Buffer): Promise<void> {
    await this.#replace('next', content);
  }

  async keepBefore(content: Buffer): Promise<void> {
    await this.#replace('before', content);
  }

  /** The content to come, if it is the one of that hash; throws ERR_NODE_STATE. `largest` in bytes. */
  readNext(expected: string, largest: number): Buffer {
    return this.#readContent('next', expected, largest);
  }

  readBefore(expected: string, largest: number): Buffer {
    return this.#readContent('before', expected, largest);
  }

  #readContent(kind: 'next' | 'before', expected: string, largest: number): Buffer {
    const path = this.#path(kind);
    const content = readOwn(this.#system, path, largest);
    if (content === undefined) throw broken(path, 'it is not there');
    if (sha256(content) !== expected)
      throw broken(path, `its SHA-256 is ${sha256(content)}, not ${expected}`);
    return content;
  }

  #path(kind: 'json' | 'next' | 'before' | 'gate'): string {
    return join(this.directory, `${this.#lock}.${kind}`);
  }

  async #replace(kind: 'json' | 'next' | 'before', content: string | Buffer): Promise<void> {
    // Contents may be secret: the directory is ours alone.
    const made = await mkdir(this.directory, {recursive: true, mode: 0o700});
    if (made !== undefined) await syncDirectory(join(this.directory, '..'));
    checkRoot(this.#system, this.directory);
    // No name of a lock begins with a dot.
    await replaceFile(this.#path(kind), join(this.directory, `.${this.#lock}.${kind}.new`), content);
  }
}

/** The highest epoch that was taken up, by lock. One whose record can not be read is left out: its roll-outs tell why. */
export function epochsSeen(system: System, roots: Roots): Record<string, number> {
  const epochs: Record<string, number> = {};
  let names: string[] = [];
  try {
    names = readdirSync(fleetDirectory(roots));
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  for (const name of names.filter(each => each.endsWith('.json') && !each.startsWith('.'))) {
    const lock = name.slice(0, -'.json'.length);
    try {
      epochs[lock] = new NodeState(system, roots, lock).read().seen.epoch;
    } catch (error) {
      if (!(error instanceof LockError)) throw error;
    }
  }
  return epochs;
}
