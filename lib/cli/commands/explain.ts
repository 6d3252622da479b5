/** `locksmith explain`: who has it, does he live, and how do we know? */
import {EXIT} from '../../errors.js';
import {examineFile} from '../../recovery/file-verdict.js';
import type {ExamineOptions} from '../../recovery/verdict.js';
import {type AnyVerdict, toReport} from '../../recovery/report.js';
import {argumentBytes} from '../argument-bytes.js';
import type {CommandSpec, Given} from '../command.js';
import {print, printJson} from '../output.js';
import {reportLines} from '../report.js';
import {findByFile, findByName, isFile, strayBitOf} from '../resolve.js';

async function examineTarget(target: string, options: ExamineOptions): Promise<AnyVerdict> {
  const bytes = argumentBytes(target);
  if (bytes) return examineFile(bytes, options);
  if (!isFile(target)) return findByName(target).examine(options);
  return findByFile(target)?.examine(options) ?? examineFile(target, {...options, bit: strayBitOf(target)});
}

export const explainCommand: CommandSpec<Given & {all?: true}> = {
  name: 'explain',
  group: 'Look:',
  summary: 'say who has a lock or a file, whether he lives, and how that is known',
  arguments: [['<lock>', 'NAME of a lock, or any FILE, also one that no lock guards']],
  options: [
    {
      flags: '-a, --all',
      what: 'look at every process, also when the first one shows the lock: then nobody who shares it is left out',
    },
  ],
  examples: [
    ['locksmith explain aim_lock_config', 'by the name of the lock'],
    ['locksmith explain /etc/aim/aim_lock_config.conf', 'by the file'],
    ['locksmith explain --all /proc/4711/fd/5', 'all holders of a file that has no name any more'],
  ],
  about:
    'Looks and changes nothing. The verdict is FREE, ALIVE, FROZEN, DEAD or UNKNOWN, with all that it rests on and what to do next.',
  exits: [
    [0, 'it could answer, whatever the verdict'],
    [2, 'no such lock or file, or a failure'],
    [77, 'not permitted'],
  ],
  async run([target = ''], {json, all = false}) {
    const verdict = await examineTarget(target, {everywhere: all});
    if (json) printJson(toReport(verdict));
    else print(reportLines(verdict).join('\n'));
    return EXIT.done;
  },
};
