/**
 * A program that takes a lock and gives it back: "take" is answered with "asks" as soon as it has asked, and with "got TIME" when
 * it has it; "give" with "gave TIME", the moment before. TIME is that of CLOCK_MONOTONIC in nanoseconds.
 */
import {createInterface} from 'node:readline';
import {contenders} from '../subjects/contenders.js';

const [name = '', path = ''] = process.argv.slice(2);
const contender = contenders[name]?.(path);
if (!contender) throw new Error(`there is no contender "${name}"`);

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

say('ready');
for await (const line of createInterface({input: process.stdin})) {
  if (line === 'take') {
    const taken = contender.take();
    say('asks');
    await taken;
    say(`got ${process.hrtime.bigint()}`);
  } else {
    const before = process.hrtime.bigint();
    await contender.give();
    say(`gave ${before}`);
  }
}
process.exit();
