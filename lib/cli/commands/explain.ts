/** `locksmith explain`: who has it, does he live, and how do we know? */
import {EXIT} from '../../errors.js';
import {system} from '../../os/system.js';
import {examineFile} from '../../recovery/file-verdict.js';
import type {CommandSpec} from '../command.js';
import {print, printJson} from '../output.js';
import {type AnyVerdict, reportLines, toReport} from '../report.js';
import {findByFile, findByName, isFile, strayBitOf} from '../resolve.js';

async function examineTarget(target: string): Promise<AnyVerdict> {
  if (!isFile(target)) return findByName(target).examine();
  return findByFile(target)?.examine() ?? examineFile(target, system(), strayBitOf(target));
}

export const explainCommand: CommandSpec = {
  name: 'explain',
  group: 'Look:',
  summary: 'say who has a lock or a file, whether he lives, and how that is known',
  arguments: [['<lock>', 'NAME of a lock, or any FILE, also one that no lock guards']],
  options: [],
  examples: [
    ['locksmith explain aim_lock_config', 'by the name of the lock'],
    ['locksmith explain /etc/aim/aim_lock_config.conf', 'by the file'],
  ],
  about:
    'Looks and changes nothing. The verdict is FREE, ALIVE, FROZEN, DEAD or UNKNOWN, with all that it rests on and what to do next.',
  exits: [
    [0, 'it could answer, whatever the verdict'],
    [2, 'no such lock or file, or a failure'],
    [77, 'not permitted'],
  ],
  async run([target = ''], {json}) {
    const verdict = await examineTarget(target);
    if (json) printJson(toReport(verdict));
    else print(reportLines(verdict).join('\n'));
    return EXIT.done;
  },
};
