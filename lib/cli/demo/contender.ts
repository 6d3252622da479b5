/** The contender: has the configuration open for writing and waits for its lock. It steps back when asked. */
import {open} from 'node:fs/promises';
import {type Node, openOn} from './node.js';
import {given, say, told} from './part.js';

const node = given as Node;
const config = await openOn(node);
const file = await open(node.file, 'r+');
const acquired = config.acquire({purpose: 'hand edit', onOrphan: 'wait'});
say({say: 'waiting'});

await told('step back');
await file.close();

const owned = await acquired;
say({say: 'in', epoch: owned.epoch});
await owned.release();
say({say: 'out'});
process.disconnect();
