/** `locksmith fleet keygen`: where do the keys of operators and drivers come from? */
import {chmodSync, closeSync, fsyncSync, openSync, writeSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {EXIT, LockError} from '../../../errors.js';
import {memberName} from '../../../fleet/documents.js';
import {generateKeys} from '../../../fleet/signing.js';
import {hasCode} from '../../../os/system-error.js';
import type {CommandSpec, Given} from '../../command.js';
import {onlyOne} from '../../fleet/given.js';
import {print, printJson} from '../../output.js';

interface KeygenGiven extends Given {
  readonly directory: string;
}

/** Writes a file that is not there yet. */
function create(path: string, text: string, mode: number): void {
  const fd = openNew(path, mode);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  // Whatever the umask was.
  chmodSync(path, mode);
}

function openNew(path: string, mode: number): number {
  try {
    return openSync(path, 'wx', mode);
  } catch (cause) {
    if (!hasCode(cause, 'EEXIST')) throw cause;
    throw new LockError(
      'ERR_ARGUMENT',
      `${path} is there already, and keys are not overwritten`,
      {path},
      {cause},
    );
  }
}

function nextLines(name: string, privateKey: string, publicKey: string): string[] {
  return [
    `${privateKey}  (mode 600: it stays here)`,
    `${publicKey}  (every node gets it)`,
    '',
    'An operator starts roll-outs and holds. In the fleet file of every node, beside the public key:',
    `  operators: [{name: ${name}, key: ${name}.pub}]`,
    'and in that of the machine from which it signs:',
    `  sign: {name: ${name}, key: ${privateKey}}`,
    '',
    'A driver leads roll-outs from step to step. On every node:',
    `  drivers: [{name: ${name}, key: ${name}.pub}]`,
    'and on the machines that drive (locksmith fleet agent --drive):',
    `  drive: {name: ${name}, key: ${privateKey}}`,
  ];
}

export const keygenCommand: CommandSpec<KeygenGiven> = {
  name: 'keygen',
  group: 'Take part:',
  summary: 'make a pair of keys for an operator or a driver',
  arguments: [['<name>', 'by which people know the key: a person, or the machine that drives']],
  options: [
    {
      flags: '--directory <directory>',
      what: 'where NAME.key and NAME.pub are put',
      fallback: '.',
      shown: 'the current one',
    },
  ],
  examples: [['locksmith fleet keygen alice --directory ~/.locksmith', 'makes alice.key and alice.pub']],
  about:
    'Ed25519. Says what to put into the fleet file. With --json: {"name", "privateKey", "publicKey"}, the paths of both.',
  exits: [
    [0, 'both files are written'],
    [2, 'a failure'],
    [64, 'usage, or one of the files is there already'],
    [77, 'not permitted'],
  ],
  async run(names, {directory, json}) {
    const name = onlyOne(names, 'name');
    if (!memberName.safeParse(name).success)
      throw new LockError(
        'ERR_ARGUMENT',
        `${JSON.stringify(name)} is no name for a key: 1 to 63 of A-Z a-z 0-9 . _ -`,
      );
    const keys = generateKeys();
    const privateKey = join(resolve(directory), `${name}.key`);
    const publicKey = join(resolve(directory), `${name}.pub`);
    create(privateKey, keys.privateKey, 0o600);
    create(publicKey, keys.publicKey, 0o644);
    if (json) printJson({name, privateKey, publicKey});
    else print(nextLines(name, privateKey, publicKey).join('\n'));
    return EXIT.done;
  },
};
