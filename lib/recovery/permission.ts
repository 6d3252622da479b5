/** Who may take a lock by force? Root always; else whom the policy names, or the owner's own user where it names nobody. */
import {execFile} from 'node:child_process';
import {readFile} from 'node:fs/promises';
import {promisify} from 'node:util';
import {LockError} from '../errors.js';
import type {ConfigLock} from '../lock/config-lock.js';
import type {Verdict} from './verdict.js';

const run = promisify(execFile);

/** Longest wait for a name service that may be far away, in milliseconds. */
const PATIENCE = 5000;

/** The local file and the database of getent(1) in which a name is looked up. */
interface Book {
  readonly file: string;
  readonly database: 'passwd' | 'group';
}

const USERS: Book = {file: '/etc/passwd', database: 'passwd'};
const GROUPS: Book = {file: '/etc/group', database: 'group'};

/** The number in the line of a name: both files have it in their third field (passwd(5), group(5)). */
function idIn(text: string, name: string): number | undefined {
  const lines = text.split('\n').map(line => line.split(':'));
  const id = lines.find(([first]) => first === name)?.[2];
  return id === undefined || !/^\d+$/.test(id) ? undefined : Number(id);
}

/** The local file first: it answers also in a rescue shell, where a name service does not. */
async function lookUp({file, database}: Book, name: string): Promise<number | undefined> {
  const local = idIn(await readFile(file, 'utf8').catch(() => ''), name);
  if (local !== undefined) return local;
  const answer = run('/usr/bin/getent', [database, name], {timeout: PATIENCE, killSignal: 'SIGKILL'});
  return answer.then(
    ({stdout}) => idIn(stdout, name),
    () => undefined,
  );
}

/** The id of a user, or of a group with an @ before it; undefined when nobody knows the name. */
export function idOf(person: string): Promise<number | undefined> {
  return person.startsWith('@') ? lookUp(GROUPS, person.slice(1)) : lookUp(USERS, person);
}

/** A user and the groups that the kernel lets him act for. */
export interface Person {
  readonly uid: number;
  readonly groups: readonly number[];
}

/** Who this process is: the user who started it. */
function ourselves(): Person {
  return {
    uid: process.getuid?.() ?? 0,
    groups: [process.getgid?.() ?? 0, ...(process.getgroups?.() ?? [])],
  };
}

/** Is that one of those whom the policy names: users, and groups with an @ before them? */
export async function isOneOf(
  allowed: readonly string[],
  {uid, groups}: Person = ourselves(),
): Promise<boolean> {
  for (const person of allowed) {
    const id = await idOf(person);
    if (id !== undefined && (person.startsWith('@') ? groups.includes(id) : id === uid)) return true;
  }
  return false;
}

/** Who asks, and for what. */
export interface Asked {
  /** By default this process. */
  readonly person?: Person;
  readonly what?: string;
}

/**
 * Throws ERR_NOT_PERMITTED unless he who asks may take a lock from its owner. `allowed` as the policy has it; undefined where it says nothing:
 * then it is the owner's own user.
 */
export async function checkPermitted(
  config: ConfigLock,
  {owner}: Pick<Verdict, 'owner'>,
  allowed: readonly string[] | undefined,
  {person, what = 'break the glass of'}: Asked = {},
): Promise<void> {
  const {uid} = person ?? config.system;
  if (uid === 0) return;
  if (allowed ? await isOneOf(allowed, person) : owner?.uid === uid) return;
  const others = allowed ?? (owner ? [`uid ${owner.uid}`] : []);
  const who = ['root', ...others.filter(each => each !== 'root')].join(' or ');
  throw new LockError('ERR_NOT_PERMITTED', `only ${who} may ${what} ${config.name}; this is uid ${uid}`, {
    lock: config.name,
    path: config.file,
  });
}
