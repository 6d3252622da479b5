/** What is a command of the command line, and what a group of them? One description, from which arguments, options and help come. */
import {type Command, Option} from 'commander';
import {align} from './output.js';

/** Options that every command has. */
export interface Given {
  readonly json?: true;
}

export interface OptionSpec {
  /** As commander takes them: `-w, --wait <secs>`. */
  readonly flags: string;
  readonly what: string;
  /** `before`: what the option came to until then, where it is given again. */
  readonly parse?: (text: string, before?: unknown) => unknown;
  readonly choices?: readonly string[];
  readonly fallback?: unknown;
  /** The fallback as help shows it. */
  readonly shown?: string;
  readonly mandatory?: boolean;
}

interface Described {
  readonly name: string;
  /** Above it in the list of commands. */
  readonly group: 'Look:' | 'Take part:' | 'Use:' | 'Take back:' | 'Many machines:' | 'About Locksmith:';
  /** One line for the list of commands. */
  readonly summary: string;
  /** What is run, and what it does. */
  readonly examples: readonly (readonly [command: string, effect: string])[];
  /** What one has to know before one uses it. */
  readonly about: string;
  readonly exits: readonly (readonly [status: number | string, meaning: string])[];
}

export interface CommandSpec<Options extends Given = Given> extends Described {
  /** Arguments as commander takes them, and what they are: `['<lock>', 'NAME or FILE']`. */
  readonly arguments: readonly (readonly [name: string, what: string])[];
  readonly options: readonly OptionSpec[];
  /** Does it. `args` are the operands in their order. Returns the exit status. */
  run(args: readonly string[], options: Options): Promise<number>;
}

/** A command that is made of others. */
export interface CommandGroup extends Described {
  readonly commands: CommandTable;
}

/** By name, in the order of the help. A command is loaded when it is asked for: loading all takes much longer. */
export type CommandTable = Readonly<Record<string, () => Promise<CommandSpec | CommandGroup>>>;

const JSON_OPTION: OptionSpec = {
  flags: '--json',
  what: 'results as JSON, errors as one line of JSON on stderr',
};

function indent(lines: readonly string[]): string {
  return lines.map(line => `  ${line}`).join('\n');
}

export function exampleText(examples: CommandSpec['examples']): string {
  return `${examples.length > 1 ? 'Examples' : 'Example'}:\n${indent(align(examples.map(([command, effect]) => [command, `# ${effect}`])))}\n`;
}

export function exitText(exits: CommandSpec['exits']): string {
  return `\nExit status:\n${indent(align(exits.map(([status, meaning]) => [String(status), meaning])))}`;
}

function toOption({flags, what, parse, choices, fallback, shown, mandatory = false}: OptionSpec): Option {
  const option = new Option(flags, what);
  if (parse) option.argParser(parse);
  if (choices) option.choices(choices);
  if (fallback !== undefined) option.default(fallback, shown);
  return option.makeOptionMandatory(mandatory);
}

function describe(program: Command, spec: Described): Command {
  return program
    .command(spec.name)
    .helpGroup(spec.group)
    .summary(spec.summary)
    .description(spec.about)
    .addHelpText('before', exampleText(spec.examples))
    .addHelpText('after', exitText(spec.exits));
}

/** Its status becomes the exit status of the process. */
function register(program: Command, spec: CommandSpec): void {
  const command = describe(program, spec);
  for (const [name, what] of spec.arguments) command.argument(name, what);
  for (const option of [...spec.options, JSON_OPTION]) command.addOption(toOption(option));
  command.action(async () => {
    process.exitCode = await spec.run(command.args, command.opts());
  });
}

/** Adds the command that the words begin with to the program, of a group again only that; all of them for help, and where there is none of that name. */
export async function registerCommands(
  program: Command,
  commands: CommandTable,
  [name = '', ...words]: readonly string[],
): Promise<void> {
  const wanted = Object.hasOwn(commands, name) ? [commands[name]] : Object.values(commands);
  for (const spec of await Promise.all(wanted.flatMap(load => load?.() ?? []))) {
    if ('run' in spec) register(program, spec);
    else await registerCommands(describe(program, spec).usage('COMMAND [options]'), spec.commands, words);
  }
}
