/** What is there to see of a lock? Bit, record, guard, and everybody who has the guard; nothing is concluded yet, nothing changed. */
import {constants} from 'node:fs';
import type {ConfigLock} from '../lock/config-lock.js';
import {isClosed} from '../lock/gate.js';
import type {ReadRecord} from '../lock/owner-record.js';
import type {BitOwner} from '../os/lock-bit.js';
import {LockFile} from '../os/lock-file.js';
import {findOpeners, type Holder, readLockTable, type Waiter} from '../os/lock-table.js';
import {type FileId, fileId} from '../os/mounts.js';

/** What was read, before anything is concluded from it. */
export interface Sight {
  readonly bit: 0 | 1 | undefined;
  readonly epoch: number | undefined;
  /** As LockBit.owner. */
  readonly setter: BitOwner | null | undefined;
  readonly problem: string | undefined;
  readonly record: ReadRecord;
  readonly guardHeld: boolean;
  readonly onHold: boolean;
  readonly holders: readonly Holder[];
  readonly waiters: readonly Waiter[];
  readonly unreadable: readonly number[];
}

function readBit(config: ConfigLock): Pick<Sight, 'bit' | 'epoch' | 'setter' | 'problem'> {
  try {
    const {bit} = config;
    return {bit: bit.read(), epoch: bit.epoch(), setter: bit.owner(), problem: undefined};
  } catch (error) {
    return {bit: undefined, epoch: undefined, setter: undefined, problem: (error as Error).message};
  }
}

function testLocks(config: ConfigLock): {guardHeld: boolean; onHold: boolean} {
  using guard = LockFile.open(config.paths.guard, {flags: constants.O_RDONLY});
  using gate = LockFile.open(config.paths.gate, {flags: constants.O_RDONLY});
  return {guardHeld: guard.test('exclusive') !== undefined, onHold: isClosed(gate)};
}

function waitersOn(config: ConfigLock, guard: FileId): Waiter[] {
  return readLockTable(config.system)
    .filter(
      row =>
        row.waiting && row.inode === guard.inode && row.major === guard.major && row.minor === guard.minor,
    )
    .map(row => ({pid: row.pid > 0 ? row.pid : undefined, kind: 'ofd'}));
}

/** Everybody who shares the description that holds the guard. Only looked for when it is held. */
async function findHolders(config: ConfigLock): Promise<Pick<Sight, 'holders' | 'waiters' | 'unreadable'>> {
  const guard = fileId(config.system, config.paths.guard);
  const blocked = waitersOn(config, guard);
  const {openers, unreadable} = await findOpeners(config.system, guard);
  const holders = openers
    .filter(opener => opener.locks.length > 0)
    .map(({pid, fd}) => ({pid, kind: 'ofd', mode: 'exclusive' as const, via: `descriptor ${fd}`}));
  const idle = openers
    .filter(opener => opener.locks.length === 0 && opener.pid !== process.pid)
    .map(opener => opener.pid);
  const waiters = blocked.map((waiter, index) => ({...waiter, pid: waiter.pid ?? idle[index]}));
  return {holders, waiters, unreadable};
}

async function look(config: ConfigLock): Promise<Sight> {
  const record = config.readRecord();
  const bit = readBit(config);
  const locks = testLocks(config);
  const found = locks.guardHeld ? await findHolders(config) : {holders: [], waiters: [], unreadable: []};
  return {record, ...bit, ...locks, ...found};
}

/** Looks again until bit, record and guard stood still meanwhile; a busy lock may not. */
export async function lookSteadily(config: ConfigLock): Promise<{sight: Sight; steady: boolean}> {
  let sight = await look(config);
  for (let attempt = 0; attempt < 5; attempt++) {
    const again = {record: config.readRecord(), ...readBit(config), ...testLocks(config)};
    const {record, bit, epoch, setter, problem, guardHeld, onHold} = sight;
    if (JSON.stringify(again) === JSON.stringify({record, bit, epoch, setter, problem, guardHeld, onHold}))
      return {sight, steady: true};
    sight = await look(config);
  }
  return {sight, steady: false};
}
