#!/usr/bin/env node
/** `locksmith`: the table of its commands, and one place where every failure ends. */
import {Command} from 'commander';
import {EXIT} from '../errors.js';
import {type CommandSpec, type CommandTable, exampleText, exitText, registerCommands} from './command.js';
import {tellFailure} from './failure.js';
import {align, ignoreBrokenPipe} from './output.js';
import {version} from './version.js';

const COMMANDS: CommandTable = {
  ls: async () => (await import('./commands/ls.js')).lsCommand,
  explain: async () => (await import('./commands/explain.js')).explainCommand,
  watch: async () => (await import('./commands/watch.js')).watchCommand,
  bit: async () => (await import('./commands/bit.js')).bitCommand,
  log: async () => (await import('./commands/log.js')).logCommand,
  policy: async () => (await import('./commands/policy.js')).policyCommand,
  run: async () => (await import('./commands/run.js')).runCommand,
  update: async () => (await import('./commands/update.js')).updateCommand,
  hold: async () => (await import('./commands/hold.js')).holdCommand,
  recover: async () => (await import('./commands/recover.js')).recoverCommand,
  'break-glass': async () => (await import('./commands/break-glass.js')).breakGlassCommand,
  daemon: async () => (await import('./commands/daemon.js')).daemonCommand,
  fleet: async () => (await import('./commands/fleet.js')).fleetCommand,
  demo: async () => (await import('./commands/demo.js')).demoCommand,
  doctor: async () => (await import('./commands/doctor.js')).doctorCommand,
};

const EXAMPLES: CommandSpec['examples'] = [
  ['locksmith explain /etc/aim/aim_lock_config.conf', 'who has it, does he live, and how is that known?'],
  ['locksmith recover aim_lock_config', 'take it back from a dead owner'],
];

const ENVIRONMENT = [
  ['  LOCKSMITH_RUN', 'volatile state; /run/locksmith for root, else $XDG_RUNTIME_DIR/locksmith'],
  [
    '  LOCKSMITH_STATE',
    'durable state: audit log and epochs; /var/lib/locksmith for root, else $XDG_STATE_HOME/locksmith',
  ],
  [
    '  LOCKSMITH_BITS',
    'lock bits; /sys/locks with /run/locksmith where the kernel module is loaded, else $LOCKSMITH_RUN/bits',
  ],
  ['  LOCKSMITH_POLICY', 'directory of the policy files; /etc/locksmith'],
  ['  LOCKSMITH_FLEET', 'the fleet file; /etc/locksmith/fleet/fleet.yaml'],
  ['  NO_COLOR', 'no colours, also on a terminal'],
];

const EXITS: CommandSpec['exits'] = [
  [EXIT.done, 'done, or yes'],
  [EXIT.no, 'no: HOT, not dead, a contender remains'],
  [EXIT.failure, 'failure'],
  [EXIT.usage, 'usage'],
  [EXIT.unavailable, 'this kernel or file system can not do it'],
  [EXIT.unrecorded, 'taken back, but that is not in the audit log'],
  [EXIT.tryAgain, 'try again later'],
  [EXIT.notPermitted, 'not permitted'],
];

const ABOUT =
  'Tells who owns a locked configuration file, proves whether the owner lives, and takes the file back safely. ' +
  'A lock is meant by its NAME, or by the FILE that it guards: what has a slash, or exists as a file, is a FILE.';

async function buildProgram([, , ...words]: readonly string[]): Promise<Command> {
  const program = new Command('locksmith')
    .description(ABOUT)
    .version(version())
    .usage('COMMAND [options]')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({outputError: () => undefined})
    .addHelpText('before', exampleText(EXAMPLES))
    .addHelpText('after', `\nEnvironment:\n${align(ENVIRONMENT).join('\n')}\n${exitText(EXITS)}`);
  await registerCommands(program, COMMANDS, words);
  return program;
}

/** What comes after `--` belongs to somebody else. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return argv.slice(0, end < 0 ? argv.length : end).includes('--json');
}

async function main(argv: readonly string[]): Promise<void> {
  ignoreBrokenPipe();
  try {
    const program = await buildProgram(argv);
    await program.parseAsync(argv);
  } catch (error) {
    process.exitCode = tellFailure(error, {json: wantsJson(argv)});
  }
}

await main(process.argv);
