/** Where may an open file description be that no descriptor of any process leads to? */
import {readdirSync, readFileSync, readlinkSync} from 'node:fs';
import {basename} from 'node:path';
import {type Place, sameFile} from './lock-survey.js';
import type {FileId} from './mounts.js';
import type {System} from './system.js';
import {hasCode} from './system-error.js';

/** Somebody who may keep a lock alive. That he does is not proven. */
export interface Suspect {
  /** null: the kernel itself. */
  readonly pid: number | null;
  readonly place: 'mapping' | 'io_uring' | 'socket' | 'loop';
  /** In words: `it has the file mapped`. */
  readonly because: string;
}

/** The file that is locked. */
export interface LostFile {
  readonly id: FileId;
  /** What the kernel calls it now; undefined when only its number is known. */
  readonly path: Buffer | undefined;
}

/** Before Linux 5.13 a ring tells mere names. Without a path to compare with, every file may be the one. */
function mayBe(path: Buffer | undefined, shown: Buffer): boolean {
  return path === undefined || shown.equals(path) || String(shown) === basename(String(path));
}

function descriptorOf({fd, thread}: Place): string {
  return thread === 0 ? `descriptor ${fd}` : `descriptor ${fd} of thread ${thread}`;
}

function suspectOf(place: Place, {id, path}: LostFile): Suspect[] {
  const {kind, pid, count} = place;
  if (kind === 'mapping') {
    return sameFile(place, id) ? [{pid, place: kind, because: 'it has the file mapped'}] : [];
  }
  if (kind === 'io_uring') {
    if (!place.paths.some(each => mayBe(path, each))) return [];
    const which = path === undefined ? 'files' : 'the file';
    return [{pid, place: kind, because: `it has registered ${which} with its ring, ${descriptorOf(place)}`}];
  }
  const what = count === 1 ? 'a descriptor waits' : `${count} descriptors wait`;
  return [{pid, place: kind, because: `${what} to be received from its socket, ${descriptorOf(place)}`}];
}

function backingFile(system: System, device: string): Buffer | undefined {
  try {
    const text = readFileSync(`${system.sysRoot}/block/${device}/loop/backing_file`);
    return text.subarray(0, text.lastIndexOf('\n'));
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENODEV', 'ENXIO')) return undefined;
    throw error;
  }
}

/** A loop device keeps the very description that it was set up with (loop(4), /sys/block/loopN/loop/backing_file). */
function loopSuspects(system: System, {path}: LostFile): Suspect[] {
  let devices: string[];
  try {
    devices = readdirSync(`${system.sysRoot}/block`).filter(name => /^loop\d+$/.test(name));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw error;
  }
  return devices.flatMap(device => {
    const backing = backingFile(system, device);
    if (backing === undefined || (path !== undefined && !backing.equals(path))) return [];
    return [{pid: null, place: 'loop', because: `/dev/${device} is made of ${path ? 'the' : 'a'} file`}];
  });
}

/** Everybody who may keep a lock that no process shows. */
export function suspectsOf(system: System, places: readonly Place[], file: LostFile): Suspect[] {
  return [...places.flatMap(place => suspectOf(place, file)), ...loopSuspects(system, file)];
}

/** What the kernel calls a file that we have open. */
export function kernelPath(path: string): Buffer {
  return readlinkSync(path, {encoding: 'buffer'});
}

/** The one process that must be it when nobody else can: it has the file mapped or registered, and nothing else may hide it. */
export function onlySuspect(suspects: readonly Suspect[]): (Suspect & {readonly pid: number}) | undefined {
  const [first] = suspects;
  const alone = suspects.every(
    ({pid, place}) => pid === first?.pid && (place === 'mapping' || place === 'io_uring'),
  );
  return alone && first && first.pid !== null ? {...first, pid: first.pid} : undefined;
}
