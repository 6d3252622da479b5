/** How does a test get a daemon with a page? By the command line, as people do; it is there when it says so. */
import {createInterface} from 'node:readline';
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {Agent, request} from 'undici';
import type {Bench} from './cli.js';
import type {Ends} from './scratch.js';
import type {Started} from './started.js';

export interface PageDaemon {
  readonly started: Started;
  /** Of the page on loopback. */
  readonly url: string;
}

/** Starts a daemon with a page, and waits until it is ready. What is seen comes from events: by default it sweeps once only. */
export async function pageDaemon(
  made: Pick<Bench, 'start'>,
  {
    address = '127.0.0.1:0',
    sweep = '1h',
    options = [],
  }: {address?: string; sweep?: string; options?: readonly string[]} = {},
): Promise<PageDaemon> {
  const started = made.start('daemon', '--page', address, '--sweep', sweep, ...options);
  const lines = createInterface({input: started.child.stderr});
  const url = await new Promise<string>((resolve, reject) => {
    lines.on('line', line => {
      if (!line.includes('"msg":"ready"')) return;
      resolve((JSON.parse(line) as {page: string}).page);
    });
    void started.ended.then(({code, stderr}) =>
      reject(new Error(`the daemon ended with ${code}: ${stderr}`)),
    );
  });
  return {started, url};
}

/** Ends it as systemd does. */
export async function endDaemon({started}: PageDaemon): Promise<void> {
  started.child.kill('SIGTERM');
  await started.ended;
}

/** Writes the policy of the bench. */
export function writePolicy({policy}: Pick<Bench, 'policy'>, text: string): void {
  mkdirSync(policy, {recursive: true});
  writeFileSync(join(policy, 'locks.yaml'), text);
}

export interface Answered<T> {
  readonly status: number;
  readonly body: T;
}

/** Asks the daemon by its socket. */
export async function askSocket<T>(
  t: Ends,
  {roots}: Pick<Bench, 'roots'>,
  path: string,
  {
    method = 'GET',
    body,
    headers = {},
  }: {method?: 'GET' | 'POST' | 'DELETE'; body?: object; headers?: Record<string, string>} = {},
): Promise<Answered<T>> {
  const dispatcher = new Agent({connect: {socketPath: join(roots.run, 'daemon.sock')}});
  t.teardown(() => dispatcher.close());
  const content = body && {
    body: JSON.stringify(body),
    headers: {...headers, 'content-type': 'application/json'},
  };
  const answer = await request(`http://localhost${path}`, {dispatcher, method, headers, ...content});
  const text = await answer.body.text();
  return {status: answer.statusCode, body: (text === '' ? undefined : JSON.parse(text)) as T};
}
