/** On which machine did the reports of tests run that no bench has written? */
import type {Report} from '../../bench/report/json.js';

export const MACHINE: Omit<Report, 'figures'> = {
  date: '2026-11-21T23:00:00.000Z',
  kernel: '6.18.44',
  node: 'v20.19.0',
  cpu: 'a processor',
  cpus: 2,
  memoryGiB: 8,
  load: 0.5,
  effort: {rounds: 2, batch: 5, smoke: false},
};
