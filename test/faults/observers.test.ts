/** What do observers see while owners die, fork, execute and pass descriptors on? Never a DEAD that the harness, which kills them, can contradict. */
import {type ChildProcessByStdio, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import type {Readable, Writable} from 'node:stream';
import test, {type ExecutionContext} from 'ava';
import {LockFile} from '../../lib/os/lock-file.js';
import {type GuardedConfig, openConfigLock} from '../../lib/recovery/guarded-config.js';
import type {State} from '../../lib/recovery/verdict.js';
import {compile, compileShared, fixture} from '../helpers/native.js';
import {
  goOn,
  KeepersMaster,
  type Mortal,
  ObservedOwner,
  type Order,
  stop,
} from '../helpers/observed-owner.js';
import {
  contradiction,
  type End,
  type History,
  isConfirmed,
  type Life,
  newHistory,
  now,
  type Recovery,
  type Said,
} from '../helpers/owner-history.js';
import {PidTaker} from '../helpers/pid-taker.js';
import {type Scratch, scratch} from '../helpers/scratch.js';

const SECONDS = Number(process.env['LOCKSMITH_RACE_SECONDS'] ?? 10);
const OBSERVERS = 8;
const LOCKS = 3;
/** Lower than that of owners, which would get no turn beside eight who look all the time. */
const OBSERVER_NICE = 10;

/** What all turns share. */
interface Tools {
  readonly place: Scratch;
  readonly keeper: string;
  readonly library: string;
  readonly taker: string;
  readonly master: KeepersMaster;
}

/** One lock, and who works on it. */
interface Stage extends Tools {
  readonly t: ExecutionContext;
  readonly config: GuardedConfig;
  readonly history: History;
  readonly said: Said[];
  readonly recoverer: ObservedOwner;
  /** Those who wait for verdicts: how many more, of calls that began when. */
  readonly waiting: {left: number; readonly since: bigint; readonly resolve: () => void}[];
}

/** A turn: the owner has the lock; afterwards it is dead, or has given it back. */
interface Turn extends Stage {
  readonly owner: ObservedOwner;
  readonly life: Life;
}

function hear(stage: Stage, said: Said): void {
  stage.said.push(said);
  for (const waiter of stage.waiting) if (said.before >= waiter.since) waiter.left--;
  const done = stage.waiting.filter(({left}) => left <= 0);
  stage.waiting.splice(0, Infinity, ...stage.waiting.filter(({left}) => left > 0));
  for (const {resolve} of done) resolve();
}

/** Resolves when so many verdicts on the lock have come, of calls that begin from now on. */
function watched({waiting}: Stage, left: number): Promise<void> {
  return new Promise(resolve => waiting.push({left, since: now(), resolve}));
}

/** As watched; at times not at all, so that one change hits upon the look at the one before. */
async function perhapsWatched(stage: Stage): Promise<void> {
  const count = Math.floor(Math.random() * 12) - 2;
  if (count > 0) await watched(stage, count);
}

/** Nothing announces that the guard is free. An observer that reads a descriptor's fdinfo keeps it open that long. */
async function untilGuardIsFree({config}: Stage): Promise<void> {
  using guard = LockFile.open(config.paths.guard);
  while (guard.test('exclusive')) await new Promise(setImmediate);
}

/** Ends whoever has the guard last, and knows from when to when. */
async function endLast(turn: Turn, last: Mortal): Promise<void> {
  const {life} = turn;
  for (const {ends} of life.stops) if (ends.to === undefined) ends.from = now();
  life.heldUntil = now();
  await last.kill();
  await untilGuardIsFree(turn);
  life.goneSince = now();
  for (const {ends} of life.stops) ends.to ??= life.goneSince;
}

async function recover({recoverer, history}: Stage): Promise<End> {
  const recovery = await recoverer.do<Omit<Recovery, 'identity'>>({name: 'recover'});
  const identity = identities.get(recoverer) ?? '';
  history.recoveries.push({...recovery, identity});
  return recovery;
}

/** Of recoverers, which have each been an owner once. */
const identities = new WeakMap<ObservedOwner, string>();

let mailboxes = 0;

/** A stranger with a mailbox, which the guard is then sent to. */
async function sendToStranger({t, place, keeper, master, owner, history}: Turn) {
  const mailbox = join(place.directory, `mailbox-${++mailboxes}`);
  const child = spawn(keeper, [master.path, mailbox], {stdio: ['ignore', 'ignore', 'inherit']});
  t.teardown(() => child.kill('SIGKILL'));
  const stranger = await master.keeper(child.pid ?? 0);
  const sent = await owner.do<{pid: number}>({
    name: 'pass-by',
    command: [keeper, '--send', mailbox, '3', '4'],
  });
  for (const pid of [stranger.pid, sent.pid]) history.hadGuard.add(pid);
  return stranger;
}

async function giveToChild({keeper, master, owner, history}: Turn) {
  const {pid} = await owner.do<{pid: number}>({name: 'give-to', command: [keeper, master.path]});
  history.hadGuard.add(pid);
  return master.keeper(pid);
}

/** The owner executes another program, in the same incarnation. */
async function becomeKeeper({keeper, library, master, owner}: Turn, keeping: boolean): Promise<void> {
  const order: Order = {name: 'become', command: [keeper, master.path], library, keeping};
  owner.start(order);
  await master.keeper(owner.pid);
}

/** What happens to owners. Each ends with a lock that is dead or free. */
const KINDS: Record<string, (turn: Turn) => Promise<void>> = {
  async 'is killed'(turn) {
    await perhapsWatched(turn);
    await endLast(turn, turn.owner);
  },
  async 'is killed while stopped'(turn) {
    turn.life.stops.push(stop(turn.owner));
    await watched(turn, 8);
    await endLast(turn, turn.owner);
  },
  async 'is stopped, goes on and releases'(turn) {
    const stopped = stop(turn.owner);
    turn.life.stops.push(stopped);
    await watched(turn, 8);
    goOn(turn.owner, stopped);
    await perhapsWatched(turn);
    turn.life.end = await turn.owner.do<End>({name: 'release'});
  },
  async releases(turn) {
    await perhapsWatched(turn);
    turn.life.end = await turn.owner.do<End>({name: 'release'});
  },
  async 'releases, and a child keeps the guard'(turn) {
    const child = await giveToChild(turn);
    const {begun} = await turn.owner.do<End>({name: 'release'});
    await watched(turn, 8);
    const clearing = now();
    // Whoever waits for the guard gets it now, and keeps it.
    await child.kill();
    turn.life.end = {begun, clearing, done: now()};
  },
  async 'leaves a child with the guard'(turn) {
    const child = await giveToChild(turn);
    await perhapsWatched(turn);
    await turn.owner.kill();
    await watched(turn, 8);
    await endLast(turn, child);
  },
  async 'leaves a stopped child with the guard'(turn) {
    const child = await giveToChild(turn);
    await turn.owner.kill();
    turn.life.stops.push(stop(child));
    await watched(turn, 8);
    await endLast(turn, child);
  },
  async 'leaves a child that executes another program'(turn) {
    const child = await giveToChild(turn);
    const again = turn.master.keeper(child.pid);
    child.execute();
    await turn.owner.kill();
    const executed = await again;
    await watched(turn, 4);
    await endLast(turn, executed);
  },
  async 'leaves the guard in a message, which is received'(turn) {
    const stranger = await sendToStranger(turn);
    await perhapsWatched(turn);
    await turn.owner.kill();
    await watched(turn, 8);
    await stranger.receive();
    await watched(turn, 4);
    await endLast(turn, stranger);
  },
  async 'leaves the guard in a message that nobody reads'(turn) {
    const stranger = await sendToStranger(turn);
    await turn.owner.kill();
    await watched(turn, 4);
    await endLast(turn, stranger);
  },
  async 'executes another program with the guard'(turn) {
    await becomeKeeper(turn, true);
    await watched(turn, 4);
    await endLast(turn, turn.owner);
  },
  async 'executes another program and loses the guard'(turn) {
    await becomeKeeper(turn, false);
    await watched(turn, 4);
    await endLast(turn, turn.owner);
  },
  async 'is killed and its pid taken'(turn) {
    const taker = await PidTaker.start(turn.t, turn.taker);
    await perhapsWatched(turn);
    await endLast(turn, turn.owner);
    if (!(await taker.take('process', turn.owner.pid))) turn.t.log('the pid went to somebody else');
    await watched(turn, 12);
    await taker.letGo();
  },
};

/** An owner asks for the lock, now or while another one has it; its turn begins when it has it. */
async function begin(stage: Stage, kind: string, owner: ObservedOwner): Promise<Turn> {
  const facts = await owner.do<Omit<Life, 'kind' | 'stops'>>({name: 'acquire'});
  return {...stage, owner, life: {...facts, kind, stops: []}};
}

async function startOwner({t, config, place, history}: Omit<Stage, 'recoverer'>): Promise<ObservedOwner> {
  const owner = await ObservedOwner.start(config.file, place.roots);
  t.teardown(() => owner.kill());
  history.hadGuard.add(owner.pid);
  return owner;
}

function shuffled<T>(values: readonly T[]): T[] {
  return values
    .map(value => ({value, key: Math.random()}))
    .sort((a, b) => a.key - b.key)
    .map(({value}) => value);
}

/** Plays a turn to its end: the lock is free again. */
async function play(turn: Turn): Promise<void> {
  await KINDS[turn.life.kind]?.(turn);
  if (turn.life.end) {
    await turn.owner.kill();
  } else {
    await perhapsWatched(turn);
    turn.life.end = await recover(turn);
  }
  await perhapsWatched(turn);
}

/** Kinds of ends in random order, each once before any comes again. */
class Deck {
  readonly #kinds: readonly string[];
  #left: string[] = [];
  #drawn = 0;

  constructor(kinds: readonly string[]) {
    this.#kinds = kinds;
  }

  draw(): string {
    if (this.#left.length === 0) this.#left = shuffled(this.#kinds);
    this.#drawn++;
    return this.#left.pop() ?? '';
  }

  get hadAll(): boolean {
    return this.#drawn >= this.#kinds.length;
  }
}

/** Owners come and go on one lock until the time is over and every kind of end has come. */
async function live(stage: Stage, deck: Deck, isOver: () => boolean): Promise<void> {
  let spare = startOwner(stage);
  const draw = async () => {
    const owner = await spare;
    spare = startOwner(stage);
    return begin(stage, deck.draw(), owner);
  };
  let next: Promise<Turn> | undefined;
  for (;;) {
    const turn = await (next ?? draw());
    next = undefined;
    stage.history.lives.push(turn.life);
    const isLast = isOver() && deck.hadAll;
    // Half of the owners wait for the guard while the one before them dies, and pass through it.
    if (!isLast && Math.random() < 0.5) next = draw();
    next?.catch(() => undefined);
    await play(turn);
    if (isLast) break;
  }
  await spare;
}

type Observer = ChildProcessByStdio<Writable, Readable, null>;

/** Starts one who looks at all the locks in turn. */
async function observe(
  stages: readonly Stage[],
  first: number,
): Promise<{stop: () => Promise<void>; gone: Promise<void>}> {
  const [{t, place}] = stages as [Stage];
  const files = stages.map(({config}) => config.file);
  const facts = JSON.stringify({files, roots: place.roots, first});
  const args = ['-n', String(OBSERVER_NICE), process.execPath, fixture('observer'), facts];
  const observer: Observer = spawn('nice', args, {stdio: ['pipe', 'pipe', 'inherit']});
  t.teardown(() => observer.kill('SIGKILL'));
  const exit = once(observer, 'close');
  const lines = createInterface({input: observer.stdout});
  lines.on('line', line => {
    const [index, state, identity, epoch, holders, before, after] = JSON.parse(line) as [
      number,
      State,
      string | null,
      number,
      number[],
      string,
      string,
    ];
    const said = {state, identity, epoch, holders, before: BigInt(before), after: BigInt(after)};
    hear(stages[index] as Stage, said);
  });
  await once(lines, 'line');
  const gone = exit.then(() => t.is(observer.exitCode, 0, 'the observer met with an error'));
  return {
    gone: gone.then(() => undefined),
    async stop() {
      observer.stdin.end();
      await gone;
    },
  };
}

async function setStage(t: ExecutionContext, tools: Tools, index: number): Promise<Stage> {
  const {place} = tools;
  const file = join(place.directory, 'etc', `lock-${index}.conf`);
  writeFileSync(file, 'gain = 7\n');
  const config = await openConfigLock(file, place.roots);
  const parts = {...tools, t, config, history: newHistory(), said: [], waiting: []};
  const recoverer = await startOwner(parts);
  const stage: Stage = {...parts, recoverer};
  const first = await begin(stage, 'releases', recoverer);
  identities.set(recoverer, first.life.identity);
  first.life.end = await recoverer.do<End>({name: 'release'});
  stage.history.lives.push(first.life);
  return stage;
}

/** The false verdicts, in words. */
function contradictions({history, said, config}: Stage): string[] {
  return said.flatMap(each => {
    const against = contradiction(history, each);
    if (against === undefined) return [];
    const life = history.lives.find(({identity}) => identity === each.identity);
    const facts = JSON.stringify({...each, life}, (_, value: unknown) =>
      typeof value === 'bigint' ? Number(value) / 1e9 : value,
    );
    return [`${config.name}: ${each.state}, but ${against}: ${facts}`];
  });
}

function countBy<T>(values: readonly T[], key: (value: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[key(value)] = (counts[key(value)] ?? 0) + 1;
  return counts;
}

test(`${OBSERVERS} observers explain locks whose owners die, fork, execute and pass descriptors on, for ${SECONDS} s: no verdict is false`, async t => {
  const place = scratch(t, existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
  const master = await KeepersMaster.listen(join(place.directory, 'keepers'));
  t.teardown(() => master.close());
  const tools = {
    place,
    keeper: compile(t, 'descriptor-keeper'),
    taker: compile(t, 'pid-taker'),
    library: compileShared(t, 'become'),
    master,
  };
  const stages: Stage[] = [];
  for (let index = 0; index < LOCKS; index++) stages.push(await setStage(t, tools, index));
  const observers = await Promise.all(Array.from({length: OBSERVERS}, (_, index) => observe(stages, index)));
  const end = now() + BigInt(Math.round(SECONDS * 1e9));
  const kinds = Object.keys(KINDS).filter(kind => kind !== 'is killed and its pid taken' || PidTaker.may);
  const deck = new Deck(kinds);
  const lived = Promise.all(stages.map(stage => live(stage, deck, () => now() >= end)));
  // Nobody is heard any more once an observer has ended: then the turns would wait for ever.
  const lost = async ({gone}: {gone: Promise<void>}) => {
    await gone;
    throw new Error('an observer ended');
  };
  await Promise.race([lived, ...observers.map(lost)]);
  await Promise.all(observers.map(observer => observer.stop()));

  const said = stages.flatMap(stage => stage.said);
  const dead = stages.flatMap(stage =>
    stage.said.filter(({state}) => state === 'DEAD').map(each => isConfirmed(stage.history, each)),
  );
  const ends = countBy(
    stages.flatMap(({history}) => history.lives),
    ({kind}) => kind,
  );
  const states = countBy(said, ({state}) => state);
  const confirmed = dead.filter(known => known).length;
  t.log(`${said.length} verdicts: ${JSON.stringify(states)}`);
  t.log(
    `DEAD: ${confirmed} after the harness knew it, ${dead.length - confirmed} between its kill and its knowing`,
  );
  t.log(`owners: ${JSON.stringify(ends)}`);
  t.deepEqual(stages.flatMap(contradictions).slice(0, 10), []);
  for (const kind of kinds) t.true((ends[kind] ?? 0) > 0, kind);
  for (const state of ['FREE', 'ALIVE', 'FROZEN', 'DEAD', 'UNKNOWN'])
    t.true((states[state] ?? 0) >= OBSERVERS, state);
  t.true(said.length > 20 * stages.flatMap(({history}) => history.lives).length, 'many verdicts');
  t.true(confirmed > dead.length / 2);
  for (const {config} of stages) t.is((await config.examine()).state, 'FREE');
});
