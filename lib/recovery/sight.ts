/** What is there to see of a lock? Bit, record, guard, and everybody who has the guard; nothing is concluded yet, nothing changed. */
import {constants} from 'node:fs';
import type {ConfigLock} from '../lock/config-lock.js';
import {isClosed} from '../lock/gate.js';
import type {ReadRecord} from '../lock/owner-record.js';
import type {Suspect} from '../os/hiding-places.js';
import type {BitOwner} from '../os/lock-bit.js';
import {LockFile} from '../os/lock-file.js';
import {type Holder, listLocks, type Waiter} from '../os/lock-table.js';
import type {Gap} from '../os/visibility.js';

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
  readonly suspects: readonly Suspect[];
  readonly waiters: readonly Waiter[];
  readonly gaps: readonly Gap[];
  /** All processes were looked at, not only the owner on record. */
  readonly everywhere: boolean;
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

type Found = Pick<Sight, 'holders' | 'suspects' | 'waiters' | 'gaps' | 'everywhere'>;

const NOBODY: Found = {holders: [], suspects: [], waiters: [], gaps: [], everywhere: false};

/** Who shares the description that holds the guard. The owner on record is asked first: most of the time that settles it. */
async function findHolders(config: ConfigLock, record: ReadRecord, everywhere: boolean): Promise<Found> {
  const likely = record.state === 'owned' ? [record.owner.pid] : [];
  const {system, paths} = config;
  const list = await listLocks({path: paths.guard, likely, everywhere, system});
  return {
    holders: list.locks.flatMap(({holders}) => holders),
    suspects: list.locks.flatMap(({suspects}) => suspects),
    waiters: list.locks.flatMap(({waiters}) => waiters),
    gaps: list.gaps,
    everywhere: list.everywhere,
  };
}

async function look(config: ConfigLock, everywhere: boolean): Promise<Sight> {
  const record = config.readRecord();
  const bit = readBit(config);
  const locks = testLocks(config);
  const found = locks.guardHeld ? await findHolders(config, record, everywhere) : NOBODY;
  return {record, ...bit, ...locks, ...found};
}

/** Looks again until bit, record and guard stood still meanwhile; a busy lock may not. */
export async function lookSteadily(
  config: ConfigLock,
  everywhere: boolean,
): Promise<{sight: Sight; steady: boolean}> {
  let sight = await look(config, everywhere);
  for (let attempt = 0; attempt < 5; attempt++) {
    const again = {record: config.readRecord(), ...readBit(config), ...testLocks(config)};
    const {record, bit, epoch, setter, problem, guardHeld, onHold} = sight;
    if (JSON.stringify(again) === JSON.stringify({record, bit, epoch, setter, problem, guardHeld, onHold}))
      return {sight, steady: true};
    sight = await look(config, everywhere);
  }
  return {sight, steady: false};
}
