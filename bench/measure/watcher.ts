/**
 * A program that watches the owner of a configuration lock: "watch PID" is answered with "watching"; then, when that process has died, and its
 * lock was recovered, with "clear SEEN CLEAR": when its death was seen and when all was clear, nanoseconds of CLOCK_MONOTONIC.
 */
import {createInterface} from 'node:readline';
import {openConfigLock, type RootOptions} from '../../lib/index.js';
import {waitForExit} from '../../lib/os/process.js';

const [file = '', roots = ''] = process.argv.slice(2);
const config = await openConfigLock(file, JSON.parse(roots) as RootOptions);

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

say('ready');
for await (const line of createInterface({input: process.stdin})) {
  const death = waitForExit(Number(line.split(' ')[1]));
  say('watching');
  await death;
  const seen = process.hrtime.bigint();
  await config.recover();
  say(`clear ${seen} ${process.hrtime.bigint()}`);
}
process.exit();
