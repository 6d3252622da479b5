/** A program that does one operation again and again: each line of input says how often, each of output how long that took in nanoseconds. */
import {createInterface} from 'node:readline';
import type {Operation, Operations} from './operation.js';

async function time(operation: Operation, times: number): Promise<bigint> {
  const start = process.hrtime.bigint();
  if (operation.kind === 'sync') for (let i = 0; i < times; i++) operation.run();
  else for (let i = 0; i < times; i++) await operation.run();
  return process.hrtime.bigint() - start;
}

const [module = '', name = '', path = ''] = process.argv.slice(2);
const {operations} = (await import(module)) as {operations: Operations};
const operation = await operations[name]?.(path);
if (!operation) throw new Error(`${module} has no operation "${name}"`);
process.stdout.write('ready\n');
for await (const line of createInterface({input: process.stdin}))
  process.stdout.write(`${await time(operation, Number(line))}\n`);
process.exit();
