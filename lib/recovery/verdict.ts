/** Who owns the lock, and is he alive, frozen, or proven dead? Looking changes nothing. */
import {basename} from 'node:path';
import type {ConfigLock} from '../lock/config-lock.js';
import type {Owner, ReadRecord} from '../lock/owner-record.js';
import type {BitKind, BitOwner} from '../os/lock-bit.js';
import type {Suspect} from '../os/hiding-places.js';
import type {Holder, Waiter} from '../os/lock-table.js';
import {describeProcess} from '../os/process.js';
import type {Gap} from '../os/visibility.js';
import {type Claim, examineClaim, ownerOnRecord} from './claim.js';
import {explainDeath} from './death.js';
import {examineHolders} from './holders.js';
import type {Evidence} from './incarnation.js';
import {gapEvidence, seeMore, suspectText} from './incomplete.js';
import {lookSteadily, type Sight} from './sight.js';

/** Exactly one of these; UNKNOWN is an answer, and never releases a lock. */
export type State = 'FREE' | 'ALIVE' | 'FROZEN' | 'DEAD' | 'UNKNOWN';

/** What looking at a lock gave: the judgement and everything it rests on. */
export interface Verdict {
  readonly name: string;
  readonly file: string;
  /** The bit is set: the file must not be used by anybody but its owner. */
  readonly hot: boolean;
  readonly state: State;
  /** Fencing token in force; null when it could not be read. */
  readonly epoch: number | null;
  /** Owner on record; null when there is none or it can't be read. */
  readonly owner: Owner | null;
  readonly bit: {
    readonly path: string;
    readonly kind: BitKind;
    readonly value: 0 | 1 | null;
    /** The process that set it, where the kernel keeps that; null when it is clear or nobody knows. */
    readonly owner: BitOwner | null;
  };
  readonly holders: readonly Holder[];
  /** Where the guard may be when no process shows it. */
  readonly suspects: readonly Suspect[];
  readonly waiters: readonly Waiter[];
  readonly evidence: readonly Evidence[];
  /** False when something could not be looked at; `missing` says what, `next` how to see it. */
  readonly complete: boolean;
  readonly missing: readonly Gap[];
  /** What to do next: sentences and commands. */
  readonly next: readonly string[];
}

/** An owner as people and scripts see it: without what only a proof needs. */
export type ShownOwner = Omit<Owner, 'machineId' | 'pidNamespace'>;

/** What of a verdict people and scripts see, also of one that somebody else has come to. */
export interface ShownVerdict extends Omit<Verdict, 'owner'> {
  readonly owner: ShownOwner | null;
}

interface Judgement {
  /** The owner is gone, but somebody has the guard: a child that inherited it, or just a contender that passes through. */
  readonly passing?: boolean;
  readonly state: State;
  readonly evidence: readonly Evidence[];
}

function recordEvidence(record: ReadRecord): Evidence {
  const looked = 'owner record';
  if (record.state === 'unreadable')
    return {looked, saw: record.why, follows: 'who owned the lock last is unknown'};
  if (record.state === 'free')
    return {
      looked,
      saw: `no owner since epoch ${record.epoch}`,
      follows: 'the last owner gave the lock back',
    };
  const {owner} = record;
  const purpose = owner.purpose === '' ? '' : `, for "${owner.purpose}"`;
  return {
    looked,
    saw: `pid ${owner.pid} on ${owner.node} (${owner.exe}, uid ${owner.uid}) since ${owner.since}, epoch ${record.epoch}${purpose}`,
    follows: record.resigned
      ? 'that process has given up in the middle and said so'
      : 'that incarnation is the owner on record',
  };
}

function bitEvidence(config: ConfigLock, {bit, epoch, problem}: Sight): Evidence {
  const looked = `bit ${config.bit.path}`;
  if (problem !== undefined) return {looked, saw: problem, follows: 'whether the file is HOT is unknown'};
  return bit === 1
    ? {looked, saw: `1, epoch ${epoch}`, follows: 'an update is under way or was cut short'}
    : {looked, saw: `0, epoch ${epoch}`, follows: 'no update is under way'};
}

function guardEvidence(config: ConfigLock, {guardHeld, holders, suspects}: Sight): Evidence {
  const looked = `guard ${config.paths.guard} (F_OFD_GETLK, then /proc/PID/fdinfo)`;
  if (!guardHeld)
    return {looked, saw: 'nobody holds it', follows: 'no copy of the owner’s descriptor lives anywhere'};
  if (holders.length === 0)
    return {
      looked,
      saw: ['it is held, and no process shows the descriptor', ...suspects.map(suspectText)].join('; '),
      follows: 'somebody holds the lock who can not be seen',
    };
  const who = [...new Set(holders.map(({pid}) => describeProcess(config.system, pid)))].join(', ');
  return {looked, saw: `held by ${who}`, follows: 'the lock is in their hands'};
}

/** That the search ended with the first who showed it; a child may share the guard, which then is no less his. */
function reachEvidence({everywhere, holders}: Sight): Evidence[] {
  if (everywhere || holders.length === 0) return [];
  return [
    {
      looked: 'descriptors of the owner on record, and of its children',
      saw: 'the guard is among them',
      follows: 'whether others share it was not looked at: --all does',
    },
  ];
}

/** The living holders decide; a lock that nobody shows stays UNKNOWN. */
function judgeHolders(config: ConfigLock, {holders}: Sight): Judgement {
  const {state = 'UNKNOWN', evidence} = examineHolders(config.system, holders);
  return {state, evidence};
}

/** What the pid of an owner means can be unknown here, as that of one in a container. The inode of its pidfd names it everywhere in this boot. */
function findOwner({system}: ConfigLock, {holders}: Sight, {record}: Claim): Holder | undefined {
  if (record?.owner.bootId !== system.bootId) return undefined;
  return holders.find(({identity}) => identity?.startsWith('pidfd:') && identity === record.owner.identity);
}

/** The owner could not be looked up; but he may be among those who were found with the guard. */
function judgeUnknown(config: ConfigLock, sight: Sight, claim: Claim): Judgement {
  const owner = findOwner(config, sight, claim);
  if (owner === undefined) return {state: 'UNKNOWN', evidence: claim.evidence};
  const {state = 'UNKNOWN', evidence} = examineHolders(config.system, [owner]);
  const found = {
    looked: `identity of those who have the guard`,
    saw: `pid ${owner.pid} here has that of the owner on record (${owner.identity})`,
    follows: 'it is the owner, whatever its pid where it lives',
  };
  return {state, evidence: [...claim.evidence, found, ...evidence]};
}

/** The bit is set: who set it, and who has the guard, decide. */
function judgeClaim(config: ConfigLock, sight: Sight, claim: Claim): Judgement {
  const {existence, resigned, evidence} = claim;
  if (existence === 'unknown') return judgeUnknown(config, sight, claim);
  if (!sight.guardHeld && (existence === 'gone' || resigned)) return {state: 'DEAD', evidence};
  if (existence !== 'gone') return {state: existence === 'frozen' ? 'FROZEN' : 'ALIVE', evidence};
  const holders = judgeHolders(config, sight);
  return {state: holders.state, evidence: [...evidence, ...holders.evidence], passing: true};
}

function judge(config: ConfigLock, sight: Sight): Judgement {
  const {bit, epoch, setter, record, guardHeld} = sight;
  if (bit === undefined || epoch === undefined || record.state === 'unreadable')
    return {state: 'UNKNOWN', evidence: []};
  if (bit === 0) return guardHeld ? judgeHolders(config, sight) : {state: 'FREE', evidence: []};
  const {kind, path} = config.bit;
  return judgeClaim(config, sight, examineClaim(config.system, {kind, path, epoch, owner: setter}, record));
}

function ownerOf(config: ConfigLock, {bit, epoch = 0, record}: Sight): Owner | null {
  return ownerOnRecord(bit, {kind: config.bit.kind, epoch}, record);
}

function epochOf({record, epoch}: Sight): number | null {
  if (epoch === undefined) return null;
  return record.state === 'unreadable' ? epoch : Math.max(epoch, record.epoch);
}

function force(name: string, pid: number | undefined, epoch: number | null): string {
  return `locksmith break-glass ${name} --owner ${pid ?? 'unknown'} --epoch ${epoch ?? 'unknown'} --reason "..."`;
}

/** What to do next, most careful first. */
function advise(config: ConfigLock, sight: Sight, state: State): string[] {
  const [name, owner, epoch] = [config.name, ownerOf(config, sight), epochOf(sight)];
  const pid = owner?.pid ?? sight.setter?.pid;
  const asRoot = seeMore(sight.gaps, name);
  switch (state) {
    case 'FREE':
      return [];
    case 'DEAD':
      return [`locksmith recover ${name}`];
    case 'ALIVE':
      return [
        ...asRoot,
        `wait for it: locksmith run ${name} -- COMMAND`,
        ...(sight.bit === 1 ? [`by force, audited: ${force(name, pid, epoch)}`] : []),
      ];
    case 'FROZEN':
      return [
        ...asRoot,
        `let it go on: kill -CONT ${pid ?? sight.holders[0]?.pid ?? 'PID'}`,
        ...(pid === undefined ? [] : [`by force, audited: ${force(name, pid, epoch)}`]),
      ];
    case 'UNKNOWN':
      return [...asRoot, `by force, audited: ${force(name, pid, epoch)}`];
  }
}

/** Looks and judges; again when somebody with the guard may only be passing through, as contenders do. */
async function lookAndJudge(
  config: ConfigLock,
  everywhere: boolean,
): Promise<{sight: Sight; steady: boolean; judgement: Judgement}> {
  for (let attempt = 0; ; attempt++) {
    const {sight, steady} = await lookSteadily(config, everywhere);
    const judgement = judge(config, sight);
    // Of an owner that is gone or can't run, all who share the guard matter: one of them may be able to.
    const all = judgement.passing || judgement.state === 'FROZEN';
    if (all && sight.guardHeld && !sight.everywhere) return lookAndJudge(config, true);
    if (!judgement.passing || attempt === 4) return {sight, steady, judgement};
  }
}

export interface ExamineOptions {
  /** Look at all processes, also when the owner on record has the guard: then `holders` leaves nobody out. */
  readonly everywhere?: boolean;
}

/** Looks at a lock and judges it. Throws SystemError only where its own files can't be opened. */
export async function examine(
  config: ConfigLock,
  {everywhere = false}: ExamineOptions = {},
): Promise<Verdict> {
  config.tell({event: 'examining'});
  const {sight, steady, judgement} = await lookAndJudge(config, everywhere);
  const state = !steady && judgement.state === 'DEAD' ? 'UNKNOWN' : judgement.state;
  const owner = state === 'FREE' ? null : ownerOf(config, sight);
  const unsteady = {
    looked: 'bit, record and guard, several times',
    saw: 'they changed each time',
    follows: 'the lock is in use',
  };
  const onHold = {
    looked: `gate ${config.paths.gate}`,
    saw: 'it is closed',
    follows: 'a hold is announced or in force; nobody can acquire until it ends',
  };
  const verdict: Verdict = {
    name: config.name,
    file: config.file,
    hot: sight.bit === 1,
    state,
    epoch: epochOf(sight),
    owner,
    bit: {
      path: config.bit.path,
      kind: config.bit.kind,
      value: sight.bit ?? null,
      owner: sight.setter ?? null,
    },
    holders: sight.holders,
    suspects: sight.suspects,
    waiters: sight.waiters,
    evidence: [
      bitEvidence(config, sight),
      recordEvidence(sight.record),
      guardEvidence(config, sight),
      ...judgement.evidence,
      ...(owner ? await explainDeath(config.system, owner) : []),
      ...reachEvidence(sight),
      ...gapEvidence(sight.gaps),
      ...(sight.onHold ? [onHold] : []),
      ...(steady ? [] : [unsteady]),
    ],
    complete: sight.gaps.length === 0,
    missing: sight.gaps,
    next: advise(config, sight, state),
  };
  config.tell({
    event: 'verdict',
    state,
    bit: verdict.bit.value,
    epoch: verdict.epoch,
    identity: owner?.identity ?? null,
    complete: verdict.complete,
  });
  return verdict;
}

/** The verdict in one sentence. */
export function summarize({name, file, state, owner, bit, waiters}: ShownVerdict): string {
  const stranger = bit.owner
    ? `pid ${bit.owner.pid}, which set the bit and left no record`
    : 'an owner that nobody vouches for';
  const who = owner
    ? `pid ${owner.pid} on ${owner.node}, since ${owner.since}${owner.purpose ? `, for "${owner.purpose}"` : ''}`
    : stranger;
  const queue = waiters.length > 0 ? ` ${waiters.length} waiting.` : '';
  const label = `${name} (${basename(file)})`;
  switch (state) {
    case 'FREE':
      return `${label} is free.`;
    case 'ALIVE':
      return `${label} is owned by ${who}, who lives.${queue}`;
    case 'FROZEN':
      return `${label} is owned by ${who}, who lives but can not run.${queue}`;
    case 'DEAD':
      return `${label} was left in the middle by ${who}, who is proven dead.${queue}`;
    case 'UNKNOWN':
      return `${label}: whether its owner lives is unknown (${who}).${queue}`;
  }
}
