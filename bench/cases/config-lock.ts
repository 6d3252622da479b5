/** (c) What does a whole configuration lock cost, with gate, guard, bit, owner record and epoch, when nobody else wants it? */
import {writeFileSync} from 'node:fs';
import {openConfigLock} from '../../lib/index.js';
import {besideC} from '../measure/beside-c.js';
import {type Operations, promise, rootsBeside} from '../measure/operation.js';
import {inC} from '../measure/side-by-side.js';
import {peer} from '../peers.js';

export const operations: Operations = {
  async 'locksmith config lock'(path) {
    writeFileSync(path, 'gain = 1\n');
    const roots = rootsBeside(path);
    const config = await openConfigLock(path, roots);
    return promise(async () => {
      const owned = await config.acquire();
      await owned.release();
    });
  },
  'proper-lockfile, promise'(path) {
    const {lock} = peer('proper-lockfile');
    writeFileSync(path, '');
    return promise(async () => (await lock(path))());
  },
};

const C_OFD = 'C OFD on a bare file';
const OURS = 'locksmith config lock';

export const configLock = besideC({
  letter: 'c',
  title: 'acquire and release a configuration lock',
  module: import.meta.url,
  operations,
  inC: [inC(C_OFD, 'bare', 'ofd'), inC('C, the same system calls', 'config', 'ofd')],
  yardstick: C_OFD,
  goals: [
    {subject: OURS, against: [C_OFD], atMost: 8},
    {subject: OURS, against: ['proper-lockfile, promise'], atMost: 1 / 50},
  ],
});
