/** How does a test say that it changes a lock's files by hand? That lock is judged no more; those who call this are the whole list of exceptions. */
import {channel} from 'node:diagnostics_channel';
import {CHANNEL} from '../../../lib/os/events.js';
import type {ConfigLock} from '../../../lib/lock/config-lock.js';

export function disturb({paths}: ConfigLock): void {
  const events = channel(CHANNEL);
  if (events.hasSubscribers) events.publish({lock: paths.directory, event: 'disturbed'});
}
