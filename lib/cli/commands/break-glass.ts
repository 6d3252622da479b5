/** `locksmith break-glass`: how is a lock taken by force, and audited? */
import type {DaemonClient} from '../../daemon/client.js';
import {SHORTEST_FORCE} from '../../daemon/reasons.js';
import type {QuiesceSpec} from '../../recovery/quiesce/spec.js';
import {recoveryOptions} from '../../recovery/policy/rules.js';
import {AUDIT_OPTION, auditSink} from '../audit-to.js';
import type {CommandSpec} from '../command.js';
import {POLICY_OPTIONS, type PolicyGiven, policyFor} from '../policy.js';
import {findTarget, findThere} from '../resolve.js';
import {QUIESCE_OPTION} from '../quiesce.js';
import {interruption} from '../signals.js';
import {HOLD_OPTION, takeBackVisibly} from '../steps.js';
import {takeBackThere} from '../taking-back-there.js';
import {parseEpoch} from '../units.js';
import {VALIDATE_OPTION} from '../validator.js';
import {eitherWay, optionGiven, reasonBeyond, VIA_OPTIONS, type ViaGiven} from '../via.js';

interface BreakGlassGiven extends ViaGiven, PolicyGiven {
  readonly owner: string;
  readonly epoch: number;
  readonly reason: string;
  readonly kill?: true;
  readonly hold?: number;
  readonly quiesce?: readonly QuiesceSpec[];
  readonly validate?: string;
  readonly auditTo?: string;
}

async function breakThere(client: DaemonClient, target: string, given: BreakGlassGiven): Promise<number> {
  const {owner, epoch, reason, kill, hold} = given;
  const {name} = await findThere(client, target);
  const how = {owner, epoch, reason, ...(kill && {kill}), ...(hold !== undefined && {hold})};
  return takeBackVisibly(
    takeBackThere(given, following => client.breakGlass(name, how, following)),
    given,
  );
}

async function breakHere(target: string, given: BreakGlassGiven): Promise<number> {
  const {owner, epoch, reason, kill} = given;
  const policy = await policyFor(given);
  const config = await findTarget(target, policy);
  const {settings} = policy.of(config.name);
  using interrupted = interruption();
  const options = {
    ...recoveryOptions(given, settings),
    owner,
    epoch,
    reason,
    kill,
    // Without the policy nobody knows whom it would name.
    allowed: given.policy === false ? [] : settings['break-glass'],
    audit: auditSink(given.auditTo),
    signal: interrupted.signal,
  };
  return await takeBackVisibly(onStep => config.breakGlass({...options, onStep}), given);
}

export const breakGlassCommand: CommandSpec<BreakGlassGiven> = {
  name: 'break-glass',
  group: 'Take back:',
  summary: 'take a lock by force from a living, frozen or unknown owner, audited',
  arguments: [['<lock>', 'NAME of a lock, or the FILE that it guards']],
  options: [
    {
      flags: '--owner <owner>',
      what: 'PID or identity as `explain` printed it, or the word unknown',
      mandatory: true,
    },
    {flags: '--epoch <epoch>', what: 'epoch as `explain` printed it', parse: parseEpoch, mandatory: true},
    {flags: '--reason <text>', what: 'why; the audit log keeps it', mandatory: true},
    {
      flags: '--kill',
      what: 'end the owner (SIGKILL) once its guard is taken over; without it, it is only fenced',
    },
    HOLD_OPTION,
    QUIESCE_OPTION,
    VALIDATE_OPTION,
    AUDIT_OPTION,
    ...POLICY_OPTIONS,
    ...VIA_OPTIONS,
  ],
  examples: [
    [
      'locksmith break-glass aim_lock_config --owner 4711 --epoch 1859372056215552 --reason "hangs in a debugger"',
      'as `explain` named them',
    ],
  ],
  about:
    'Skips no epoch, no hold and no cleaning. The guard is taken over before anything else happens, so that the lock never goes free. The old owner keeps running unless --kill is given, ' +
    'and its next commit fails: it is fenced. Needs root, whom the policy names, or where it names nobody the user that owns the lock, and the right to trace its process. The daemon does it if one answers.',
  exits: [
    [0, 'ALL CLEAR'],
    [1, 'no: owner or epoch are others by now, the lock is free, or its guard can not be taken over'],
    [2, 'no such lock, the file is not clean, the audit log takes no record, or another failure'],
    [
      64,
      'usage: owner, epoch and reason must all be given; with --via daemon also what only the direct way can do',
    ],
    [69, 'no daemon answers, with --via daemon'],
    [69, '/proc is not mounted, or the kernel module of the bit is not loaded'],
    [74, 'ALL CLEAR, but the audit log took no record of that; the lock is free'],
    [75, 'a recovery is under way, or the hold ended too soon'],
    [77, 'not permitted'],
  ],
  run([target = ''], given) {
    return eitherWay(given, {
      kind: 'act',
      beyond:
        optionGiven(given, 'quiesce', 'validate', 'auditTo', 'policy') ??
        reasonBeyond(given.reason, SHORTEST_FORCE),
      ask: client => breakThere(client, target, given),
      direct: () => breakHere(target, given),
    });
  },
};
