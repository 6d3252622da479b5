/** How is a content checked before it is used? The option that names the command. */
import type {OptionSpec} from './command.js';

export const VALIDATE_OPTION: OptionSpec = {
  flags: '--validate <command>',
  what: 'shell command that refuses the content by a status other than 0; it has it on stdin, its path in "$1" and in $LOCKSMITH_SHADOW',
};
