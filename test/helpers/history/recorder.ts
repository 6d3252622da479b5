/**
 * What did this process do to which lock, and when? Preloaded (`node --import`), it appends each event as one line to the
 * file that LOCKSMITH_HISTORY names, by one write(2) with O_APPEND: so the file has one order for all processes.
 */
import {randomUUID} from 'node:crypto';
import {subscribe} from 'node:diagnostics_channel';
import {constants, openSync, statSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import {getEnvironmentData, isMainThread, setEnvironmentData, threadId} from 'node:worker_threads';
import {CHANNEL, type Told} from '../../../lib/os/events.js';
import type {Line} from './line.js';

const SALT = 'locksmith-history';

/** Names this process: its pid may be reused. Its workers get the name from the main thread. */
function nameProcess(): string {
  if (isMainThread) setEnvironmentData(SALT, randomUUID().slice(0, 8));
  return `${process.pid}.${getEnvironmentData(SALT) as string}`;
}

/** A lock is one guard: where that is removed and made again, another lock begins. */
function nameLock(directory: string): string {
  const guard = statSync(join(directory, 'guard'), {bigint: true, throwIfNoEntry: false});
  return `${directory} ${guard ? `${guard.dev}:${guard.ino}` : 'gone'}`;
}

function recordTo(path: string): void {
  const by = nameProcess();
  let fd: number | undefined;
  subscribe(CHANNEL, told => {
    const {lock, ...event} = told as Told;
    const clock = Number(process.hrtime.bigint());
    const line: Line = {lock: nameLock(lock), by, thread: threadId, clock, ...event};
    fd ??= openSync(path, constants.O_WRONLY | constants.O_APPEND);
    writeSync(fd, `${JSON.stringify(line)}\n`);
  });
}

const path = process.env['LOCKSMITH_HISTORY'];
if (path !== undefined) recordTo(path);
