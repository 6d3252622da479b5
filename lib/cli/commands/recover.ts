/** `locksmith recover`: how is a lock taken back from the dead? */
import {EXIT} from '../../errors.js';
import {listContenders} from '../../recovery/contenders.js';
import type {GuardedConfig} from '../../recovery/guarded-config.js';
import type {QuiesceSpec} from '../../recovery/quiesce/spec.js';
import type {State} from '../../recovery/verdict.js';
import type {CommandSpec, Given} from '../command.js';
import {print, printJson} from '../output.js';
import {reportLines, toReport} from '../report.js';
import {QUIESCE_OPTION} from '../quiesce.js';
import {findTarget} from '../resolve.js';
import {interruption} from '../signals.js';
import {contenderText, HOLD_OPTION, recoverVisibly} from '../steps.js';
import {VALIDATE_OPTION, validatorOf} from '../validator.js';

interface RecoverGiven extends Given {
  readonly hold: number;
  readonly quiesce?: readonly QuiesceSpec[];
  readonly dryRun?: true;
  readonly validate?: string;
  readonly reason?: string;
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
  ],
  examples: [
    ['locksmith recover aim_lock_config', 'the safe release'],
    ['locksmith recover aim_lock_config --dry-run', 'what would it do?'],
  ],
  about:
    'Proof, audit, hold, no contender left, handover, cleaning, ALL CLEAR: the lock is never free in between, and an update that was cut short is finished or rolled back. ' +
    'Killed at any step, running it again finishes.',
  exits: [
    [0, 'ALL CLEAR, or nothing to recover; with --dry-run: so it would end'],
    [
      1,
      'no: the owner is not proven dead, a contender remains, or something could not be stopped; nothing was changed',
    ],
    [2, 'no such lock, or a failure'],
    [64, 'usage'],
    [75, 'another recovery is under way, or the hold ended too soon'],
    [77, 'not permitted'],
  ],
  async run([target = ''], {hold, quiesce, dryRun, validate, reason, json}) {
    const config = await findTarget(target);
    if (dryRun) return rehearse(config, json);
    using interrupted = interruption();
    return await recoverVisibly(
      config,
      {hold, quiesce, reason, validate: validatorOf(validate), signal: interrupted.signal},
      json,
    );
  },
};
