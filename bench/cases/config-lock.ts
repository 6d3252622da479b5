/** (c) What does a whole configuration lock cost, with gate, guard, bit, owner record and epoch, when nobody else wants it? */
import {writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {openConfigLock} from '../../lib/index.js';
import type {Case} from '../measure/figure.js';
import {type Operations, promise} from '../measure/operation.js';
import {inC, inNode, sideBySide} from '../measure/side-by-side.js';
import {peer} from '../peers.js';

export const operations: Operations = {
  async 'locksmith config lock'(path) {
    writeFileSync(path, 'gain = 1\n');
    const place = dirname(path);
    const roots = {run: join(place, 'run'), state: join(place, 'state'), bits: join(place, 'bits')};
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

export const configLock: Case = {
  letter: 'c',
  title: 'acquire and release a configuration lock',
  async run(directory, effort) {
    const subjects = [
      inC(C_OFD, 'bare', 'ofd'),
      ...Object.keys(operations).map(name => inNode(import.meta.url, name)),
    ];
    const {rows, absent} = await sideBySide(directory, subjects, effort);
    return [
      {
        case: 'c',
        title: this.title,
        unit: 'ns',
        yardstick: C_OFD,
        rows,
        absent,
        goals: [
          {subject: OURS, against: [C_OFD], atMost: 8},
          {subject: OURS, against: ['proper-lockfile, promise'], atMost: 1 / 50},
        ],
      },
    ];
  },
};
