/** `locksmith update`: how does a file get its next content, whole and validated? */
import {basename} from 'node:path';
import {buffer} from 'node:stream/consumers';
import {EXIT, LockError} from '../../errors.js';
import type {UpdateResult} from '../../lock/update.js';
import type {GuardedConfig} from '../../recovery/guarded-config.js';
import {recoveryOptions} from '../../recovery/policy/rules.js';
import {validatorOf} from '../../recovery/validator.js';
import {ACQUIRE_OPTIONS, type AcquireGiven, type AcquireHow, acquireAsGiven} from '../acquire.js';
import type {CommandSpec} from '../command.js';
import {note, print, printJson} from '../output.js';
import {policyFor} from '../policy.js';
import {openTarget} from '../resolve.js';
import {interruption} from '../signals.js';
import {VALIDATE_OPTION} from '../validator.js';

interface UpdateGiven extends AcquireGiven {
  readonly validate?: string;
  readonly comment?: string;
}

/** With what the policy adds. */
type UpdateHow = AcquireHow & Pick<UpdateGiven, 'comment'> & {readonly validate: string | undefined};

/** All of stdin, before the lock is taken: however slow its writer is, nobody waits for it. */
async function readNextContent(): Promise<Buffer> {
  if (process.stdin.isTTY)
    throw new LockError('ERR_ARGUMENT', 'give the next content on stdin: locksmith update FILE < NEXT');
  return buffer(process.stdin);
}

async function update(config: GuardedConfig, content: Buffer, options: UpdateHow): Promise<UpdateResult> {
  using interrupted = interruption();
  const {signal} = interrupted;
  const owned = await acquireAsGiven(config, options, signal);
  const validate = validatorOf(options.validate);
  return await config.updateAs(owned, () => content, {
    signal,
    comment: options.comment,
    ...(validate && {validate}),
  });
}

function show(config: GuardedConfig, {epoch, bytes, sha256, stamped}: UpdateResult): void {
  print(`${basename(config.file)}: updated at epoch ${epoch}, ${bytes} bytes, sha256 ${sha256}`);
  if (!stamped) note('locksmith: the file carries no stamp, its file system has no user extended attributes');
}

export const updateCommand: CommandSpec<UpdateGiven> = {
  name: 'update',
  group: 'Use:',
  summary: 'replace the content of a file by what comes on stdin',
  arguments: [['<lock>', 'the FILE, or the NAME of its lock; a FILE without a lock gets one']],
  options: [
    ...ACQUIRE_OPTIONS,
    VALIDATE_OPTION,
    {
      flags: '--comment <start>',
      what: 'what starts a comment in the file, # say: its last line then names owner, time and epoch',
    },
  ],
  examples: [
    ['locksmith update /etc/aim/aim_lock_config.conf < next.conf', 'waits for its turn'],
    [
      `generate | locksmith update aim_lock_config -w 10 --validate 'aimctl check "$1"'`,
      'refuses what does not validate',
    ],
  ],
  about:
    'stdin is read to its end before the lock is taken. A reader of the file sees the old or the new content, never a mixture; whatever fails leaves the old one.',
  exits: [
    [0, 'the new content is in place and on the disk'],
    [1, 'HOT, or not to be had in the time given'],
    [2, 'the validator refused, or a failure'],
    [64, 'usage, or stdin is a terminal'],
    [75, 'a hold is in force: try again'],
    [77, 'not permitted'],
  ],
  async run([target = ''], options) {
    const content = await readNextContent();
    const policy = await policyFor(options);
    const config = await openTarget(target, options.name, policy);
    const {settings} = policy.of(config.name);
    const validate = options.validate ?? settings.validate;
    const recovery = recoveryOptions({validate}, settings);
    const result = await update(config, content, {...options, validate, recovery});
    if (options.json) printJson({name: config.name, file: config.file, ...result});
    else show(config, result);
    return EXIT.done;
  },
};
