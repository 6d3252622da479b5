/**
 * May I enter a cycle now? The gate: cycles pass it shared, a hold closes it exclusively.
 *
 * Two bytes of one file. Byte 0 is the door, byte 1 the room. A cycle locks both shared in one call and leaves the
 * door at once; a hold first locks the door, so that nobody can enter any more, then waits for the room to empty.
 * Without the door, cycles that overlap could keep a hold out for ever.
 */
import {dirname} from 'node:path';
import {type LockEvent, tell} from '../os/events.js';
import type {LockFile} from '../os/lock-file.js';

const DOOR = {start: 0, length: 1};
const ROOM = {start: 1, length: 1};
const BOTH = {start: 0, length: 2};

function say(gate: LockFile, event: LockEvent): void {
  tell(dirname(gate.path), event);
}

/** Enters if no hold is in force, and says whether it did. */
export function tryEnter(gate: LockFile): boolean {
  say(gate, {event: 'entering'});
  if (!gate.try('shared', BOTH)) return false;
  gate.unlock(DOOR);
  say(gate, {event: 'entered'});
  return true;
}

/** Enters, waiting for the end of a hold. */
export async function enter(gate: LockFile, signal?: AbortSignal): Promise<void> {
  say(gate, {event: 'entering'});
  await gate.wait('shared', {range: BOTH, signal});
  gate.unlock(DOOR);
  say(gate, {event: 'entered'});
}

/** Leaves; whoever inherited the descriptor stays inside. */
export function leave(gate: LockFile): void {
  say(gate, {event: 'leaving'});
  gate.close();
}

/** Waits until no hold is in force, and holds nothing afterwards. */
export async function waitUntilOpen(gate: LockFile, signal?: AbortSignal): Promise<void> {
  await gate.wait('shared', {range: DOOR, signal});
  gate.unlock(DOOR);
}

/** True while a hold is announced or in force. */
export function isClosed(gate: LockFile): boolean {
  return gate.test('shared', DOOR) !== undefined;
}

/** Announces a hold: from here on nobody enters. */
export async function shutDoor(gate: LockFile, signal?: AbortSignal): Promise<void> {
  await gate.wait('exclusive', {range: DOOR, signal});
}

/** Waits until everybody has left. The grant is the acknowledgement. Whoever waits to enter waits for the door, which is ours. */
export async function emptyRoom(gate: LockFile, signal?: AbortSignal): Promise<void> {
  await gate.wait('exclusive', {range: ROOM, signal, ahead: true});
}

/**
 * Leaves the room, and gives those who were evicted from it their shares again. While the door is shut by ourselves, nobody
 * but ourselves can be in the way.
 */
export function readmit(gate: LockFile, evicted: readonly LockFile[]): void {
  gate.unlock(ROOM);
  for (const share of evicted) share.try('shared', ROOM);
}
