/** `locksmith explain`: who has it, does he live, and how do we know? */
import {verdictFrom} from '../../daemon/answers.js';
import type {DaemonClient} from '../../daemon/client.js';
import {EXIT, isLockError} from '../../errors.js';
import {examineFile} from '../../recovery/file-verdict.js';
import type {ExamineOptions} from '../../recovery/verdict.js';
import {type AnyVerdict, toReport} from '../../recovery/report.js';
import {argumentBytes} from '../argument-bytes.js';
import type {CommandSpec} from '../command.js';
import {print, printJson} from '../output.js';
import {reportLines} from '../report.js';
import {findByFile, findByName, findThere, isFile, strayBitOf} from '../resolve.js';
import {Beyond, eitherWay, optionGiven, VIA_OPTIONS, type ViaGiven} from '../via.js';

interface ExplainGiven extends ViaGiven {
  readonly all?: true;
}

async function examineTarget(target: string, options: ExamineOptions): Promise<AnyVerdict> {
  const bytes = argumentBytes(target);
  if (bytes) return examineFile(bytes, options);
  if (!isFile(target)) return findByName(target).examine(options);
  return findByFile(target)?.examine(options) ?? examineFile(target, {...options, bit: strayBitOf(target)});
}

/** The daemon knows locks, and no other files. */
async function askForVerdict(client: DaemonClient, target: string): Promise<AnyVerdict> {
  if (argumentBytes(target)) throw new Beyond('a file whose name is not UTF-8');
  const {name} = await findThere(client, target).catch((error: unknown) => {
    const unguarded = isFile(target) && isLockError(error, 'ERR_UNKNOWN_LOCK');
    throw unguarded ? new Beyond(`a file that no lock guards, ${target}`) : error;
  });
  return verdictFrom(await client.examine(name));
}

export const explainCommand: CommandSpec<ExplainGiven> = {
  name: 'explain',
  group: 'Look:',
  summary: 'say who has a lock or a file, whether he lives, and how that is known',
  arguments: [['<lock>', 'NAME of a lock, or any FILE, also one that no lock guards']],
  options: [
    {
      flags: '-a, --all',
      what: 'look at every process, also when the first one shows the lock: then nobody who shares it is left out',
    },
    ...VIA_OPTIONS,
  ],
  examples: [
    ['locksmith explain aim_lock_config', 'by the name of the lock'],
    ['locksmith explain /etc/aim/aim_lock_config.conf', 'by the file'],
    ['locksmith explain --all /proc/4711/fd/5', 'all holders of a file that has no name any more'],
  ],
  about:
    'Looks and changes nothing. The verdict is FREE, ALIVE, FROZEN, DEAD or UNKNOWN, with all that it rests on and what to do next. Who is not root asks the daemon for it, if one answers and knows the lock.',
  exits: [
    [0, 'it could answer, whatever the verdict'],
    [2, 'no such lock or file, or a failure'],
    [64, 'usage; with --via daemon also --all, and a file that no lock guards'],
    [69, 'no daemon answers, with --via daemon'],
    [77, 'not permitted'],
  ],
  async run([target = ''], given) {
    const verdict = await eitherWay(given, {
      kind: 'look',
      beyond: optionGiven(given, 'all'),
      ask: client => askForVerdict(client, target),
      direct: () => examineTarget(target, {everywhere: given.all === true}),
    });
    if (given.json) printJson(toReport(verdict));
    else print(reportLines(verdict).join('\n'));
    return EXIT.done;
  },
};
