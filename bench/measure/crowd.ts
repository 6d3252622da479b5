/**
 * A program in which many wait, on one file or on as many files: "ask" lets all ask, "look" says what that costs, "drain" is answered with
 * "draining", and with another line when all have had their lock and have given it back. Answers are JSON.
 */
import {readFileSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {setTimeout} from 'node:timers/promises';
import {contenders} from '../subjects/contenders.js';
import type {Drained, Looked} from './crowd-words.js';

const [name = '', place = '', count = '', files = '', limit = ''] = process.argv.slice(2);
const make = contenders[name];
if (!make) throw new Error(`there is no contender "${name}"`);
const unrelated = join(place, 'unrelated');
/** Reads while all wait. */
const READS = 200;

function threads(): number {
  return Number(/^Threads:\s+(\d+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
}

/** Milliseconds; undefined when it takes longer than the limit. */
async function timeRead(): Promise<number | undefined> {
  const start = performance.now();
  const end = new AbortController();
  const late = setTimeout(Number(limit), 'late', {signal: end.signal}).catch(() => undefined);
  const outcome = await Promise.race([readFile(unrelated), late]);
  end.abort();
  return outcome === 'late' ? undefined : performance.now() - start;
}

// What Node starts when it is first needed is not counted.
await Promise.all(Array.from({length: 64}, async () => readFile(unrelated)));
const before = {threads: threads(), memory: process.memoryUsage.rss()};
const served = {count: 0, last: 0n, error: undefined as string | undefined};
let finished: () => void = () => undefined;
const all = new Promise<void>(resolve => (finished = resolve));

async function one(path: string): Promise<void> {
  const contender = make?.(path);
  await contender?.take();
  await contender?.give();
  served.last = process.hrtime.bigint();
  if (++served.count === Number(count)) finished();
}

/** Milliseconds that the event loop is kept busy by it. */
async function ask(): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < Number(count); i++)
    one(join(place, String(i % Number(files)))).catch((error: unknown) => {
      served.error ??= (error as Error).message;
      finished();
    });
  await new Promise(setImmediate);
  return performance.now() - start;
}

async function look(): Promise<Looked> {
  let longest: number | undefined = 0;
  for (let i = 0; i < READS && longest !== undefined; i++) {
    const took = await timeRead();
    longest = took === undefined ? undefined : Math.max(longest, took);
  }
  return {
    threads: threads() - before.threads,
    memory: (process.memoryUsage.rss() - before.memory) / 1e6,
    longestRead: longest,
  };
}

async function drain(): Promise<Drained> {
  const state = {drained: false};
  const late = setTimeout(Number(limit), undefined, {ref: false});
  const end = Promise.race([all, late]).then(() => (state.drained = true));
  let longest = 0;
  const reading = (async () => {
    while (!state.drained) longest = Math.max(longest, (await timeRead()) ?? Number.POSITIVE_INFINITY);
  })();
  await end;
  // One that is under way counts, unless it never ends.
  await Promise.race([reading, setTimeout(1000)]);
  return {served: served.count, last: `${served.last}`, longestRead: longest, error: served.error};
}

function say(answer: unknown): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

process.stdout.write('ready\n');
for await (const line of createInterface({input: process.stdin}))
  if (line === 'ask') say(await ask());
  else if (line === 'look') say(await look());
  else {
    const draining = drain();
    say('draining');
    say(await draining);
  }
process.exit();
