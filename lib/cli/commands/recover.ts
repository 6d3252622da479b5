/** `locksmith recover`: how is a lock taken back from the dead? */
import {EXIT} from '../../errors.js';
import type {DaemonClient} from '../../daemon/client.js';
import {listContenders} from '../../recovery/contenders.js';
import type {GuardedConfig} from '../../recovery/guarded-config.js';
import type {QuiesceSpec} from '../../recovery/quiesce/spec.js';
import type {State} from '../../recovery/verdict.js';
import {recoveryOptions} from '../../recovery/policy/rules.js';
import {toReport} from '../../recovery/report.js';
import {AUDIT_OPTION, auditSink} from '../audit-to.js';
import type {CommandSpec, Given} from '../command.js';
import {print, printJson} from '../output.js';
import {POLICY_OPTIONS, type PolicyGiven, policyFor} from '../policy.js';
import {reportLines} from '../report.js';
import {QUIESCE_OPTION} from '../quiesce.js';
import {findTarget, findThere} from '../resolve.js';
import {interruption} from '../signals.js';
import {contenderText, HOLD_OPTION, recoverVisibly} from '../steps.js';
import {takeBackThere} from '../taking-back-there.js';
import {eitherWay, optionGiven, reasonBeyond, VIA_OPTIONS, type ViaGiven} from '../via.js';
import {VALIDATE_OPTION} from '../validator.js';

interface RecoverGiven extends ViaGiven, PolicyGiven {
  readonly hold?: number;
  readonly quiesce?: readonly QuiesceSpec[];
  readonly dryRun?: true;
  readonly validate?: string;
  readonly reason?: string;
  readonly auditTo?: string;
}

const NOT_DEAD = {status: EXIT.no, plan: 'nothing: recovery takes only from the proven dead'};

/** What a recovery would come to, by verdict. */
const PLANS: Record<State, {readonly status: number; readonly plan: string}> = {
  FREE: {status: EXIT.done, plan: 'nothing: there is nothing to recover'},
  DEAD: {
    status: EXIT.done,
    plan: 'audit, hold, contenders, guard, handover, clean, clear the bit, ALL CLEAR',
  },
  ALIVE: NOT_DEAD,
  FROZEN: NOT_DEAD,
  UNKNOWN: NOT_DEAD,
};

async function rehearse(config: GuardedConfig, json: Given['json']): Promise<number> {
  const verdict = await config.examine();
  const contenders = await listContenders(config);
  const {status, plan} = PLANS[verdict.state];
  if (json)
    printJson({
      step: 'dry-run',
      verdict: toReport(verdict),
      contenders,
      plan,
      wouldRecover: verdict.state === 'DEAD',
    });
  else
    print(
      [
        ...reportLines(verdict),
        '',
        `Contenders: ${contenderText(contenders) || 'none'}`,
        `Would do: ${plan}`,
      ].join('\n'),
    );
  return status;
}

async function recoverThere(client: DaemonClient, target: string, given: RecoverGiven): Promise<number> {
  const {hold, reason} = given;
  const {name} = await findThere(client, target);
  const how = {...(hold !== undefined && {hold}), ...(reason !== undefined && {reason})};
  return recoverVisibly(
    takeBackThere(given, following => client.recover(name, how, following)),
    given,
  );
}

async function recoverHere(target: string, given: RecoverGiven): Promise<number> {
  const policy = await policyFor(given);
  const config = await findTarget(target, policy);
  const {settings} = policy.of(config.name);
  if (given.dryRun) return rehearse(config, given.json);
  using interrupted = interruption();
  const options = {
    ...recoveryOptions(given, settings),
    reason: given.reason,
    audit: auditSink(given.auditTo),
    signal: interrupted.signal,
  };
  return await recoverVisibly(onStep => config.recover({...options, onStep}), given);
}

export const recoverCommand: CommandSpec<RecoverGiven> = {
  name: 'recover',
  group: 'Take back:',
  summary: 'take a lock back from an owner that is proven dead',
  arguments: [['<lock>', 'NAME of a lock, or the FILE that it guards']],
  options: [
    HOLD_OPTION,
    QUIESCE_OPTION,
    {flags: '--dry-run', what: 'say what would be done, and change nothing'},
    VALIDATE_OPTION,
    {flags: '--reason <text>', what: 'why; the audit log keeps it'},
    AUDIT_OPTION,
    ...POLICY_OPTIONS,
    ...VIA_OPTIONS,
  ],
  examples: [
    ['locksmith recover aim_lock_config', 'the safe release'],
    ['locksmith recover aim_lock_config --dry-run', 'what would it do?'],
  ],
  about:
    'Proof, audit, hold, no contender left, handover, cleaning, ALL CLEAR: the lock is never free in between, and an update that was cut short is finished or rolled back. ' +
    'Killed at any step, running it again finishes. The daemon does it if one answers, and tells orchestrators that have registered there; Ctrl-C then ends only that it is followed.',
  exits: [
    [0, 'ALL CLEAR'],
    [0, 'the lock is free: nothing to recover'],
    [1, 'the owner is not proven dead: ALIVE, FROZEN or UNKNOWN; nothing was changed'],
    [1, 'a contender remains, and is named; nothing was changed'],
    [1, 'not everybody came to the hold point, and who; nothing was changed'],
    [1, 'an orchestrator could not be stopped, and which; nothing was changed'],
    [2, 'ALL CLEAR, but an orchestrator that was stopped does not go on; let it go on by hand'],
    [2, 'taken back, but the file is not clean: the bit stays set, and running it again finishes'],
    [2, 'the audit log takes no record, or STATE is not there: nothing was changed; see --audit-to'],
    [2, 'no such lock, a policy with a fault, or another failure'],
    [64, 'usage; with --via daemon also what only the direct way can do'],
    [69, '/proc is not mounted, or the kernel module of the bit is not loaded: nothing can be proven'],
    [69, 'no daemon answers, with --via daemon'],
    [74, 'ALL CLEAR, but the audit log took no record of that; the lock is free'],
    [75, 'another recovery is under way'],
    [75, 'the hold ended before the work did: running it again finishes'],
    [77, 'not permitted'],
    ['128+N', 'ended by signal N while it waited: running it again finishes'],
  ],
  run([target = ''], given) {
    return eitherWay(given, {
      kind: 'act',
      beyond:
        optionGiven(given, 'quiesce', 'dryRun', 'validate', 'auditTo', 'policy') ??
        reasonBeyond(given.reason),
      ask: client => recoverThere(client, target, given),
      direct: () => recoverHere(target, given),
    });
  },
};
