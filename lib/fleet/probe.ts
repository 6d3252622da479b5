/** Is a node well, as one probe sees it? A command, an HTTP answer, or a metric. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {type Dispatcher, request} from 'undici';
import {Deadline} from '../os/deadline.js';
import {describeEnding} from '../os/death.js';
import {hasCode} from '../os/system-error.js';
import type {Probe} from './documents.js';
import {metricValue} from './metric-text.js';

/** What a probe saw. `inconclusive`: it could not look, which proves nothing of the node. */
export type Answer =
  | {readonly result: 'passed'}
  | {readonly result: 'failed' | 'inconclusive'; readonly why: string};

const PASSED: Answer = {result: 'passed'};

/** Of an answer, in bytes; what is longer is not read. */
const LONGEST_BODY = 4 * 1024 * 1024;

/** Of what a command says, in characters; it is for people. */
const LONGEST_WORDS = 512;

function failed(why: string): Answer {
  return {result: 'failed', why};
}

function inconclusive(why: string): Answer {
  return {result: 'inconclusive', why};
}

/** Collects the end of what a command says. */
function listen(child: ChildProcess): () => string {
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said = `${said}${text}`.slice(-LONGEST_WORDS);
    });
  }
  return () => {
    child.stdout?.destroy();
    child.stderr?.destroy();
    return said.trim() === '' ? '' : `: ${said.trim()}`;
  };
}

/** It leads its group, and is not collected while its end was not told. */
function killGroup({pid, exitCode, signalCode}: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error;
  }
}

/** 126 and 127 are the shell's: it could not run a program (sh(1)). */
async function runCommand(command: string, within: number, signal: AbortSignal): Promise<Answer> {
  using deadline = new Deadline(within, signal);
  const child = spawn('/bin/sh', ['-c', command], {detached: true, stdio: ['ignore', 'pipe', 'pipe']});
  const words = listen(child);
  const kill = () => killGroup(child);
  deadline.signal.addEventListener('abort', kill, {once: true});
  if (deadline.signal.aborted) kill();
  try {
    const [code, killed] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    if (deadline.signal.aborted)
      return inconclusive(`\`${command}\` took longer than ${within} ms and was killed${words()}`);
    if (code === 0) return PASSED;
    const how =
      code === null ? describeEnding({signal: killed ?? '?', coreDumped: false}) : describeEnding({code});
    const text = `\`${command}\` ${how}${words()}`;
    return code === 126 || code === 127 ? inconclusive(text) : failed(text);
  } catch (error) {
    return inconclusive(`\`${command}\` could not be run: ${(error as Error).message}`);
  } finally {
    deadline.signal.removeEventListener('abort', kill);
    words();
  }
}

/** The body as text; undefined when it is too long. */
async function readBody({body}: Dispatcher.ResponseData): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes > LONGEST_BODY) return undefined;
  }
  return Buffer.concat(chunks).toString();
}

/** Whoever refuses or breaks the connection is there, and not well. */
const BROKEN = ['ECONNREFUSED', 'ECONNRESET', 'UND_ERR_SOCKET', 'EPIPE'];

/** Asks once, follows no redirection, and hands a 2xx to `judge`. */
async function ask(
  url: string,
  within: number,
  signal: AbortSignal,
  judge: (response: Dispatcher.ResponseData) => Promise<Answer>,
): Promise<Answer> {
  using deadline = new Deadline(within, signal);
  let response: Dispatcher.ResponseData | undefined;
  try {
    // Connections that are kept may be broken by now, which says nothing.
    response = await request(url, {signal: deadline.signal, reset: true});
    const {statusCode} = response;
    if (statusCode < 200 || statusCode > 299) return failed(`${url} answered ${statusCode}`);
    return await judge(response);
  } catch (error) {
    if (deadline.signal.aborted) return inconclusive(`${url} gave no answer within ${within} ms`);
    const text = `${url}: ${(error as Error).message || (error as NodeJS.ErrnoException).code}`;
    return hasCode(error, ...BROKEN) ? failed(text) : inconclusive(text);
  } finally {
    response?.body.on('error', () => undefined).destroy();
  }
}

const COMPARISONS: Readonly<Record<string, (value: number, threshold: number) => boolean>> = {
  '<': (value, threshold) => value < threshold,
  '<=': (value, threshold) => value <= threshold,
  '>': (value, threshold) => value > threshold,
  '>=': (value, threshold) => value >= threshold,
  '==': (value, threshold) => value === threshold,
};

function judgeMetric({url, metric, compare, threshold}: Probe & {kind: 'metric'}, text: string): Answer {
  const value = metricValue(text, metric);
  if (value === undefined) return inconclusive(`${url} has no ${metric}`);
  if (COMPARISONS[compare]?.(value, threshold)) return PASSED;
  return failed(`${metric} is ${value}, not ${compare} ${threshold}`);
}

/** Runs a probe once. Rejects only with signal.reason. */
export async function runProbe(probe: Probe, signal: AbortSignal): Promise<Answer> {
  signal.throwIfAborted();
  // Of its own for each probe: many listen to that of the roll-out.
  const answer = await look(probe, AbortSignal.any([signal]));
  signal.throwIfAborted();
  return answer;
}

function look(probe: Probe, signal: AbortSignal): Promise<Answer> {
  switch (probe.kind) {
    case 'command':
      return runCommand(probe.command, probe.within, signal);
    case 'http':
      return ask(probe.url, probe.within, signal, async () => PASSED);
    case 'metric':
      return ask(probe.url, probe.within, signal, async response => {
        const text = await readBody(response);
        if (text === undefined) return inconclusive(`${probe.url} says more than ${LONGEST_BODY} bytes`);
        return judgeMetric(probe, text);
      });
  }
}
