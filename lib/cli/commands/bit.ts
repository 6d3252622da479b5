/** `locksmith bit`: is the lock bit set? And how is it set or cleared by hand? */
import {EXIT, LockError} from '../../errors.js';
import type {GuardedConfig} from '../../recovery/guarded-config.js';
import {recoveryOptions} from '../../recovery/policy/rules.js';
import {acquireAsGiven, refusal} from '../acquire.js';
import type {CommandSpec, Given} from '../command.js';
import {tellFailure} from '../failure.js';
import {note, print, printJson} from '../output.js';
import {POLICY_OPTIONS, type PolicyGiven, policyFor} from '../policy.js';
import {findTarget} from '../resolve.js';
import {interruption} from '../signals.js';
import {recoverVisibly} from '../steps.js';

interface BitGiven extends Given, PolicyGiven {
  readonly purpose?: string;
}

type Act = (config: GuardedConfig, options: BitGiven, signal: AbortSignal) => Promise<number>;

function printBit(config: GuardedConfig, value: 0 | 1, json: Given['json']): void {
  if (json)
    printJson({name: config.name, file: config.file, path: config.bit.path, kind: config.bit.kind, value});
  else print(String(value));
}

async function show(config: GuardedConfig, options: BitGiven): Promise<number> {
  const value = config.bit.read();
  printBit(config, value, options.json);
  if (value === 0) return EXIT.done;
  tellFailure(await refusal(config), options);
  return EXIT.no;
}

/** Becomes the owner and leaves without a release: the end of this process frees the guard, and the bit stays. */
async function set(config: GuardedConfig, options: BitGiven, signal: AbortSignal): Promise<number> {
  await acquireAsGiven(
    config,
    {purpose: 'bit set by hand', ...options, nonblock: true, onOrphan: 'fail'},
    signal,
  );
  printBit(config, 1, options.json);
  note(
    `locksmith: ${config.name} is HOT on purpose and has no living owner from now on; clear it with: locksmith bit ${config.name} 0`,
  );
  return EXIT.done;
}

async function clear(config: GuardedConfig, options: BitGiven, signal: AbortSignal): Promise<number> {
  const {settings} = (await policyFor(options)).of(config.name);
  const how = {...recoveryOptions({}, settings), reason: 'bit cleared by hand', signal};
  return recoverVisibly(onStep => config.recover({...how, onStep}), options);
}

const ACTS: ReadonlyMap<string | undefined, Act> = new Map([
  [undefined, show],
  ['0', clear],
  ['1', set],
]);

export const bitCommand: CommandSpec<BitGiven> = {
  name: 'bit',
  group: 'Look:',
  summary: 'show the lock bit; set it by hand, or clear it safely',
  arguments: [
    ['<lock>', 'NAME of a lock, or the FILE that it guards'],
    ['[value]', '1: set it and leave it set; 0: clear it by the safe release, as `locksmith recover`'],
  ],
  options: [{flags: '--purpose <text>', what: 'why it is set; whoever meets it reads it'}, ...POLICY_OPTIONS],
  examples: [
    ['locksmith bit aim_lock_config', '0 or 1, also as exit status'],
    ['locksmith bit aim_lock_config 1 --purpose "maintenance until noon"', 'nobody may use the file'],
    ['locksmith bit aim_lock_config 0', 'safely back'],
  ],
  about:
    'A set bit means that an update is under way or was cut short: the file is HOT. The bit outlives who set it, and is never just overwritten.',
  exits: [
    [0, 'it is clear; or it was set or cleared as asked'],
    [1, 'HOT; or it could not be set or cleared'],
    [2, 'no such lock, or a failure'],
    [64, 'usage'],
    [75, 'a hold or another recovery is under way'],
    [77, 'not permitted'],
  ],
  async run([target = '', value], options) {
    const act = ACTS.get(value);
    if (!act) throw new LockError('ERR_ARGUMENT', `a bit is 0 or 1, not ${value}`);
    using interrupted = interruption();
    return await act(await findTarget(target), options, interrupted.signal);
  },
};
