/** On which lock, in which state, does an operation meet its failure? One stage a subject, made ready anew for each point. */
import {cpSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {waitForExit} from '../../../lib/os/process.js';
import {type Actor, actor} from '../actor.js';
import {fixture} from '../native.js';
import {type Ends, NEW, OLD, openScratch, type Scratch, scratch} from '../scratch.js';
import {attach, traceable} from '../stepper.js';
import type {Operation, Task} from './report.js';

/** Bound of each hold, in milliseconds: longer than a traced operation takes on a busy machine. */
export const HOLD = 30_000;

export interface Stage {
  readonly place: Scratch;
  readonly operation: Operation;
  /** What the file may contain afterwards. */
  readonly contents: readonly string[];
  /** Others take and give back guard and gate all the time. */
  readonly busy?: true;
  /** Makes it ready, and says for whom break-glass is meant. */
  begin(): Promise<Task['force']>;
  /** Lets everybody else go on after the lock has been taken back where that was necessary. Returns what was wrong with that. */
  goOn(): Promise<string[]>;
}

export const SUBJECTS = [
  'update',
  'hold',
  'recover, rolled back',
  'recover, rolled forward',
  'recover, with a contender and an orchestrator',
  'break-glass, frozen owner',
  'break-glass, living owner',
] as const;
export type Subject = (typeof SUBJECTS)[number];

/** Nobody else is there. */
const alone = async (): Promise<string[]> => [];

/** The first update of a lock that does not exist yet. */
function firstUpdate(place: Scratch): Stage {
  return {
    place,
    operation: 'update',
    contents: [OLD, NEW],
    async begin() {
      rmSync(place.roots.run, {recursive: true, force: true});
      rmSync(place.roots.state, {recursive: true, force: true});
      writeFileSync(place.file, OLD);
      return undefined;
    },
    goOn: alone,
  };
}

async function freeLock(place: Scratch): Promise<Stage> {
  await openScratch(place);
  return {place, operation: 'hold', contents: [OLD], begin: async () => undefined, goOn: alone};
}

async function killOwner(owner: ChildProcess, cut: {n: number; call: string}): Promise<void> {
  await once(owner, 'spawn');
  await once(owner.stdout ?? owner, 'data');
  const stepper = await attach(owner.pid ?? 0, cut.n, 'kill', [cut.call]);
  const gone = waitForExit(owner.pid ?? 0);
  owner.stdin?.end('go\n');
  await stepper.outcome;
  await gone;
}

/** Where an update is cut short: its only rename, and the fsync of the directory that follows it. */
const CUT = {before: {n: 1, call: 'rename'}, after: {n: 2, call: 'fsync'}};

/** An orphan that was made once; its state is put back for each point. */
async function orphan(place: Scratch, cut: keyof typeof CUT): Promise<Stage> {
  await openScratch(place);
  const content = cut === 'before' ? OLD : NEW;
  const task: Task = {...place, operation: 'update', content: NEW, hold: HOLD};
  const command = await traceable(process.execPath, [fixture('injected'), JSON.stringify(task)]);
  const owner = spawn(...command, {stdio: ['pipe', 'pipe', 'inherit']});
  await killOwner(owner, CUT[cut]);
  if (readFileSync(place.file, 'utf8') !== content) throw new Error('the update was cut short elsewhere');
  const saved = `${place.directory}.saved`;
  cpSync(place.directory, saved, {recursive: true, verbatimSymlinks: true});
  return {
    place,
    operation: 'recover',
    contents: [content],
    async begin() {
      for (const path of [place.roots.run, place.roots.state, `${place.directory}/etc`])
        rmSync(path, {recursive: true, force: true});
      cpSync(saved, place.directory, {recursive: true, verbatimSymlinks: true});
      return undefined;
    },
    goOn: alone,
  };
}

/** The same, and somebody waits for the lock, and somebody passes the gate all the time. */
async function contendedOrphan(t: Ends, place: Scratch): Promise<Stage> {
  const bare = await orphan(place, 'before');
  const contender = await actor(t, place);
  const orchestrator = await actor(t, place);
  await orchestrator.do('cycle');
  return {
    ...bare,
    busy: true,
    async begin() {
      await orchestrator.do('halt');
      await bare.begin();
      await orchestrator.do('cycle');
      contender.start('acquire', {onOrphan: 'wait'});
      return undefined;
    },
    async goOn() {
      await orchestrator.do('another-cycle');
      const {error} = await contender.answer('acquire');
      if (error !== undefined) return [`the contender got ${error}`];
      await contender.do('release');
      return [];
    },
  };
}

/** An owner in the middle of an update. */
async function owned(place: Scratch, owner: Actor, frozen: boolean): Promise<Stage> {
  const config = await openScratch(place);
  return {
    place,
    operation: 'break-glass',
    contents: [OLD],
    async begin() {
      writeFileSync(place.file, OLD);
      await owner.do('begin-update', {content: NEW});
      if (frozen) owner.stop();
      return {owner: owner.pid, epoch: config.bit.epoch()};
    },
    async goOn() {
      if (frozen) owner.continue();
      const {error} = await owner.do('finish-update');
      return error === 'ERR_FENCED' ? [] : [`the old owner was not fenced: ${error ?? 'it committed'}`];
    },
  };
}

/** Makes the stage of a subject. */
export async function stageOf(t: Ends, subject: Subject): Promise<Stage> {
  const place = scratch(t);
  t.teardown(() => rmSync(`${place.directory}.saved`, {recursive: true, force: true}));
  switch (subject) {
    case 'update':
      return firstUpdate(place);
    case 'hold':
      return freeLock(place);
    case 'recover, rolled back':
      return orphan(place, 'before');
    case 'recover, rolled forward':
      return orphan(place, 'after');
    case 'recover, with a contender and an orchestrator':
      return contendedOrphan(t, place);
    case 'break-glass, frozen owner':
      return owned(place, await actor(t, place), true);
    case 'break-glass, living owner':
      return owned(place, await actor(t, place), false);
  }
}
