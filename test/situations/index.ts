/** Which situations are there? */
import {FILES} from './files.js';
import {HIDDEN} from './hidden.js';
import {OBSERVERS} from './observers.js';
import {PROCESSES} from './processes.js';
import {SHARING} from './sharing.js';
import type {Situation} from './situation.js';
import {WAITERS} from './waiters.js';

/** All, under the headings of the documentation. */
export const SITUATIONS: Readonly<Record<string, readonly Situation[]>> = {
  'Who has the descriptor': SHARING,
  'What state the holder is in': PROCESSES,
  'Where no descriptor shows it': HIDDEN,
  'Who waits': WAITERS,
  'Who looks': OBSERVERS,
  'Which file it is': FILES,
};
