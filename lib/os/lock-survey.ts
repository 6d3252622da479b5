/** Which locks are there, and which descriptors hold them? The kernel's lock table and the processes' descriptors in one look. */
import {Coalesced} from './coalesced.js';
import {type FileId, fileId, isOpenOn} from './mounts.js';
import {type LockRow, native, type RawPlace, type RawSurvey, SURVEY} from './native.js';
import {pathTexts} from './path-text.js';
import type {System} from './system.js';
import {SystemError} from './system-error.js';

/** A descriptor that holds one of the locks, or is open on one of the files. */
export interface Descriptor {
  readonly pid: number;
  /** The thread in whose own table it is; undefined: it is in that of the whole process. */
  readonly thread: number | undefined;
  readonly fd: number;
  /** As of open(2). */
  readonly flags: number;
  readonly mountId: number;
  readonly inode: bigint;
  /** The thread that waits for an OFD lock on it now. */
  readonly waitingThread: number | undefined;
  /** Inode of the pidfd of its process, which names the incarnation; 0n where that can't be had. */
  readonly pidfdInode: bigint;
  /** Where it leads to, as `pathText` shows it; empty unless asked for. */
  readonly path: string;
}

/** A lock that is held, who waits for it, and the descriptors that show it. */
export interface SurveyedLock {
  readonly row: LockRow;
  /** In the order of the table: each waits for the lock, or behind the nearest one before it of one depth less. */
  readonly waiting: readonly LockRow[];
  /** Of shared locks that say the same, each has the descriptors of another open file description, where these can be told apart. */
  readonly shownBy: readonly Descriptor[];
}

/** Where an open file description may be that no descriptor leads to. */
export type Place = RawPlace;

/** What was seen. */
export interface Survey {
  /** Locks of the files that were asked for. */
  readonly locks: readonly SurveyedLock[];
  /** Locks of other files that somebody waits for. */
  readonly elsewhere: readonly SurveyedLock[];
  readonly descriptors: readonly Descriptor[];
  /** Looked for only when a lock is shown by no descriptor. */
  readonly places: readonly Place[];
  readonly unreadable: readonly number[];
  readonly everywhere: boolean;
}

export interface SurveyOptions {
  /** None: all locks of the machine. */
  readonly files?: readonly FileId[];
  /** Processes to look at first: when they, those that the table names and their children show every lock, nobody else is looked at. */
  readonly likely?: readonly number[];
  /** Leave nobody out. */
  readonly everywhere?: boolean;
  /** Tell where descriptors lead to. */
  readonly paths?: boolean;
}

const ROW_WIDTH = 10;
const DESCRIPTOR_WIDTH = 6;

function decodeRows({words, rows, rowNumbers}: RawSurvey): LockRow[] {
  return Array.from({length: rows.length / ROW_WIDTH}, (_, index) => {
    const at = (column: number) => rows[index * ROW_WIDTH + column] ?? 0;
    const number = (column: number) => rowNumbers[index * 3 + column] ?? 0n;
    return {
      id: at(0),
      depth: at(1),
      kind: words[at(2)] ?? '',
      mode: words[at(3)] ?? '',
      access: words[at(4)] ?? '',
      pid: at(5),
      major: at(6),
      minor: at(7),
      inode: number(0),
      start: number(1),
      end: at(8) === 1 ? undefined : number(2),
    };
  });
}

function decodeDescriptors({descriptors, descriptorNumbers, paths}: RawSurvey): Descriptor[] {
  return pathTexts(paths).map((path, index) => {
    const at = (column: number) => descriptors[index * DESCRIPTOR_WIDTH + column] ?? 0;
    return {
      pid: at(0),
      thread: at(1) || undefined,
      fd: at(2),
      flags: at(3),
      mountId: at(4),
      waitingThread: at(5) || undefined,
      inode: descriptorNumbers[index * 2] ?? 0n,
      pidfdInode: descriptorNumbers[index * 2 + 1] ?? 0n,
      path,
    };
  });
}

/** The descriptors that show each row, by its index, each list of one open file description. */
function showing(raw: RawSurvey, descriptors: readonly Descriptor[]): Map<number, Descriptor[][]> {
  const shown = new Map<number, Descriptor[][]>();
  for (let entry = 0; entry < raw.shown.length; entry += 3) {
    const at = (column: number) => raw.shown[entry + column] ?? 0;
    const descriptor = descriptors[at(1)] as Descriptor;
    const lists = shown.get(at(0));
    if (lists) (lists[at(2)] ??= []).push(descriptor);
    else shown.set(at(0), [[descriptor]]);
  }
  return shown;
}

/** Those of the `index`-th of `count` locks that say the same. With fewer descriptions than locks, some are shown by nobody; with more it could not be told which is whose. */
function shownByTwin(lists: readonly Descriptor[][], index: number, count: number): readonly Descriptor[] {
  return lists.length <= count ? (lists[index] ?? []) : lists.flat();
}

function isExclusive({access}: LockRow): boolean {
  return access !== 'READ';
}

/** Held rows, each with those who wait behind it. */
interface Block {
  readonly row: LockRow;
  /** The first row that says the same. */
  readonly first: number;
  readonly waiting: LockRow[];
}

/** The table is printed page by page while others come and go, so a lock may stand there twice; two exclusive ones can't be. */
function decodeBlocks(raw: RawSurvey): Block[] {
  const blocks: Block[] = [];
  let repeated = false;
  for (const [index, row] of decodeRows(raw).entries()) {
    const first = raw.rows[index * ROW_WIDTH + 9] ?? index;
    if (row.depth === 0) repeated = first !== index && isExclusive(row);
    if (repeated) continue;
    if (row.depth === 0) blocks.push({row, first, waiting: []});
    else blocks.at(-1)?.waiting.push(row);
  }
  return blocks;
}

function decodeLocks(raw: RawSurvey, descriptors: readonly Descriptor[]): SurveyedLock[] {
  const shown = showing(raw, descriptors);
  const blocks = decodeBlocks(raw);
  const counts = new Map<number, number>();
  for (const {first} of blocks) counts.set(first, (counts.get(first) ?? 0) + 1);
  const met = new Map<number, number>();
  return blocks.map(({row, first, waiting}) => {
    const index = met.get(first) ?? 0;
    met.set(first, index + 1);
    return {row, waiting, shownBy: shownByTwin(shown.get(first) ?? [], index, counts.get(first) ?? 1)};
  });
}

function decode(raw: RawSurvey, files: readonly FileId[]): Survey {
  const descriptors = decodeDescriptors(raw);
  const locks = decodeLocks(raw, descriptors);
  const wanted = ({row}: SurveyedLock) => files.length === 0 || files.some(file => sameFile(row, file));
  return {
    locks: locks.filter(wanted),
    elsewhere: locks.filter(lock => !wanted(lock)),
    descriptors,
    places: raw.places,
    unreadable: [...raw.unreadable],
    everywhere: raw.everywhere,
  };
}

export function sameFile(a: FileId, b: FileId): boolean {
  return a.inode === b.inode && a.major === b.major && a.minor === b.minor;
}

/** Looks. One reading of the table may miss a lock that is held: absence proves nothing. Rejects with SystemError. */
export function surveyLocks(
  system: System,
  {files = [], likely = [], everywhere = false, paths = false}: SurveyOptions = {},
): Promise<Survey> {
  const flags =
    (system.ownProc ? SURVEY.ownNamespace : 0) |
    (everywhere ? SURVEY.everywhere : 0) |
    (paths ? SURVEY.paths : 0);
  const keys = files.flatMap(({major, minor, inode}) => [BigInt(major), BigInt(minor), inode]);
  return new Promise((resolve, reject) => {
    const done = (result: RawSurvey | number) => {
      if (typeof result === 'number') reject(new SystemError(result, 'read', `${system.procRoot}/locks`));
      else resolve(decode(result, files));
    };
    const started = native.surveyLocks(
      system.procRoot,
      flags,
      BigUint64Array.from(keys),
      Int32Array.from(likely),
      done,
    );
    if (started < 0) done(started);
  });
}

/** Descriptors on some files, and those among them that hold a lock there. */
export interface Openers {
  readonly openers: readonly Descriptor[];
  readonly holding: ReadonlySet<Descriptor>;
  readonly survey: Survey;
}

/** What somebody asks of a look that he shares with others. */
interface Question {
  readonly files: readonly FileId[];
  readonly likely: readonly number[];
}

/** Looks at all processes, and such as end with the first ones that show every lock. */
type Looks = Readonly<Record<'everywhere' | 'first', Coalesced<Survey, Question>>>;

const sharedLooks = new WeakMap<System, Looks>();

function looksOf(system: System): Looks {
  const known = sharedLooks.get(system);
  if (known) return known;
  const look = (everywhere: boolean) => (questions: readonly Question[]) =>
    surveyLocks(system, {
      files: questions.flatMap(({files}) => files),
      likely: questions.flatMap(({likely}) => likely),
      everywhere,
    });
  const looks = {everywhere: new Coalesced(look(true)), first: new Coalesced(look(false))};
  sharedLooks.set(system, looks);
  return looks;
}

/** What a survey says of some of the files that it was about. */
function about(survey: Survey, files: readonly FileId[]): Survey {
  const wanted = ({row}: SurveyedLock) => files.some(file => sameFile(row, file));
  return {
    ...survey,
    locks: survey.locks.filter(wanted),
    elsewhere: [
      ...survey.elsewhere,
      ...survey.locks.filter(lock => !wanted(lock) && lock.waiting.length > 0),
    ],
  };
}

/**
 * As surveyLocks, of some files. All who ask at the same time share a look: to read the table and to go through the processes takes about as
 * long for many files as for one.
 */
export async function surveyFiles(
  system: System,
  files: readonly [FileId, ...FileId[]],
  {likely = [], everywhere = false}: Pick<SurveyOptions, 'likely' | 'everywhere'> = {},
): Promise<Survey> {
  const looks = looksOf(system)[everywhere ? 'everywhere' : 'first'];
  return about(await looks.run({files, likely}), files);
}

/** Everybody who has one of these files open, told by device and inode. */
export async function findOpeners(
  system: System,
  ...files: readonly [FileId, ...FileId[]]
): Promise<Openers> {
  const survey = await surveyFiles(system, files, {everywhere: true});
  const holding = new Set(survey.locks.flatMap(({shownBy}) => shownBy));
  const isOn = isOpenOn(system);
  const openers = survey.descriptors.filter(
    descriptor => holding.has(descriptor) || files.some(file => isOn(descriptor, file)),
  );
  return {openers, holding, survey};
}

/** Processes that hold a lock on a file, each once. */
export async function findHolders(system: System, path: string): Promise<number[]> {
  const {holding} = await findOpeners(system, fileId(system, path));
  return [...new Set(Array.from(holding, ({pid}) => pid))];
}
