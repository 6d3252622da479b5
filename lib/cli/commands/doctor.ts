/** `locksmith doctor`: is everything in order here? */
import {EXIT} from '../../errors.js';
import {resolveRoots} from '../../lock/layout.js';
import {system as ourSystem} from '../../os/system.js';
import type {CommandSpec} from '../command.js';
import type {Finding, Health} from '../finding.js';
import {HEALTH_CHECKS, runCheck} from '../health-checks.js';
import {align, paint, print, printJson} from '../output.js';

const STYLE: Record<Health, Parameters<typeof paint>[1]> = {ok: 'green', warn: 'yellow', fail: 'red'};

type Result = Finding & {readonly check: string};

function lines(results: readonly Result[]): string[] {
  const rows = align(results.map(({check, saw}) => [check, saw]));
  return results.flatMap(({health, advice}, index) => [
    `${paint(process.stdout, STYLE[health], health.padEnd(4))}  ${rows[index]}`,
    ...(advice === undefined ? [] : [`      -> ${advice}`]),
  ]);
}

export const doctorCommand: CommandSpec = {
  name: 'doctor',
  group: 'About Locksmith:',
  summary: 'check this machine and the state of all locks',
  arguments: [],
  options: [],
  examples: [['locksmith doctor', 'one line for each check: ok, warn or fail']],
  about:
    'Checks the addon, the state directories, what the kernel offers, leftovers, orphans, the audit log, the policy, whether a daemon answers, and the fleet: its file, its keys and etcd. Changes nothing.',
  exits: [
    [0, 'nothing failed; there may be warnings'],
    [2, 'something failed'],
  ],
  async run(_, {json}) {
    const system = ourSystem();
    const surroundings = {system, roots: resolveRoots(system)};
    const results: Result[] = [];
    for (const check of HEALTH_CHECKS)
      results.push({check: check.what, ...(await runCheck(check, surroundings))});
    if (json) printJson(results);
    else print(lines(results).join('\n'));
    return results.some(({health}) => health === 'fail') ? EXIT.failure : EXIT.done;
  },
};
