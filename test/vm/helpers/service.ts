/** How does a test deal with the service? By systemctl, by the daemon's socket, and by the journal, which tells what happens as it happens. */
import {type ChildProcessByStdio, execFile, execFileSync, spawn} from 'node:child_process';
import {mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {type FileHandle, open} from 'node:fs/promises';
import {type IncomingMessage, request} from 'node:http';
import {createInterface} from 'node:readline';
import type {Readable} from 'node:stream';
import {json, text} from 'node:stream/consumers';
import type {ExecutionContext} from 'ava';
import {type Actor, actor} from '../../helpers/actor.js';
import {NEW, OLD, openScratch, type Scratch} from '../../helpers/scratch.js';
import {BITS, removeLock} from './kernel-lock.js';

export const UNIT = 'locksmith.service';
export const SOCKET = '/run/locksmith/daemon.sock';
export const ETC = '/etc/aim';

const POLICY = '/etc/locksmith';
const DROP_INS = `/run/systemd/system/${UNIT}.d`;
const ROOTS = {run: '/run/locksmith', state: '/var/lib/locksmith', bits: BITS};

/** "Started", of systemd's message catalogue (sd-messages(3)). */
const STARTED = '39f53479d3a045ac8e11786248231fbf';

export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function run(...[program, ...args]: [string, ...string[]]): Promise<Ended> {
  return new Promise(resolve => {
    const child = execFile(program, args, (_error, stdout, stderr) =>
      resolve({status: child.exitCode ?? -1, stdout, stderr}),
    );
  });
}

export const systemctl = (...words: string[]): Promise<Ended> => run('systemctl', ...words);

/** A property of the service, or of another unit. */
export function show(property: string, unit = UNIT): string {
  return execFileSync('systemctl', ['show', `--property=${property}`, '--value', unit], {
    encoding: 'utf8',
  }).trim();
}

export const mainPid = (): number => Number(show('MainPID'));

/** Puts a policy in its place; nobody reads it before he is told to. */
export function writePolicy(yaml: string): void {
  mkdirSync(POLICY, {recursive: true});
  writeFileSync(`${POLICY}/tests.yaml`, yaml);
}

/** Changes the service beside the packaged unit, until the test has ended. */
export function dropIn(t: ExecutionContext, settings: string): void {
  mkdirSync(DROP_INS, {recursive: true});
  writeFileSync(`${DROP_INS}/test.conf`, `[Service]\n${settings}\n`);
  const reload = () => execFileSync('systemctl', ['daemon-reload']);
  t.teardown(() => {
    rmSync(`${DROP_INS}/test.conf`);
    reload();
  });
  reload();
}

/** A lock of the system, on a file of its own. */
export function systemLock(t: ExecutionContext, name: string): Scratch & {readonly name: string} {
  mkdirSync(ETC, {recursive: true});
  const file = `${ETC}/${name}.conf`;
  writeFileSync(file, OLD);
  t.teardown(() => {
    removeLock(name);
    for (const path of [file, `${ROOTS.run}/locks/${name}`]) rmSync(path, {recursive: true});
  });
  return {directory: ETC, file, roots: ROOTS, name};
}

/** The bit as the kernel has it. */
export const bit = (name: string): string => readFileSync(`${BITS}/${name}/conf_locked`, 'utf8').trim();

/** An owner in the middle of an update: when it is killed, it leaves a ghost and a shadow. */
export async function midway(t: ExecutionContext, place: Scratch): Promise<{owner: Actor; shadow: string}> {
  await openScratch(place);
  const owner = await actor(t, place);
  const {shadow} = await owner.do('begin-update', {content: NEW});
  return {owner, shadow: String(shadow)};
}

/** A door through which nobody gets before the test lets him: commands read a line from it. */
export class Door {
  readonly path: string;

  constructor(t: ExecutionContext, name: string) {
    this.path = `/run/${name}.door`;
    execFileSync('mkfifo', [this.path]);
    t.teardown(() => rmSync(this.path));
  }

  /** Resolves when somebody stands before it. */
  async reached(): Promise<FileHandle> {
    return open(this.path, 'w');
  }

  async open(reached: FileHandle): Promise<void> {
    await reached.write('\n');
    await reached.close();
  }
}

/** An entry of the journal, systemd.journal-fields(7). */
interface Entry {
  readonly MESSAGE: string;
  readonly MESSAGE_ID?: string;
}

/** What the journal says of the service from now on. */
export class Journal {
  readonly #child: ChildProcessByStdio<null, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  constructor(t: ExecutionContext) {
    const said = execFileSync('journalctl', ['--lines=1', '--output=cat', '--show-cursor'], {
      encoding: 'utf8',
    });
    const cursor = /^-- cursor: (.*)$/m.exec(said)?.[1] ?? '';
    // What is written before the follower runs is not missed.
    const args = [`--after-cursor=${cursor}`, '--follow', '--output=json', `--unit=${UNIT}`];
    this.#child = spawn('journalctl', args, {stdio: ['ignore', 'pipe', 'inherit']});
    this.#lines = createInterface({input: this.#child.stdout})[Symbol.asyncIterator]();
    t.teardown(() => this.#child.kill());
  }

  /** Reads on up to an entry with that text. */
  async says(what: RegExp): Promise<string> {
    return (await this.#until(({MESSAGE}) => what.test(MESSAGE))).MESSAGE;
  }

  /** Reads on up to systemd's word that the service has started. */
  async started(): Promise<void> {
    await this.#until(({MESSAGE_ID}) => MESSAGE_ID === STARTED);
  }

  async #until(is: (entry: Entry) => boolean): Promise<Entry> {
    for (;;) {
      const {value, done} = await this.#lines.next();
      if (done === true) throw new Error('the journal has ended');
      const entry = JSON.parse(value) as Entry;
      if (is(entry)) return entry;
    }
  }
}

/** Asks the daemon as root. */
function send(method: 'GET' | 'POST', path: string, body?: unknown): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : {'content-type': 'application/json'};
    const asked = request({socketPath: SOCKET, path, method, headers, agent: false}, resolve);
    asked.on('error', reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

export async function get<T = Record<string, unknown>>(path: string): Promise<T> {
  return (await json(await send('GET', path))) as T;
}

export async function post(path: string, body: unknown): Promise<{status: number; answer: unknown}> {
  const response = await send('POST', path, body);
  return {status: response.statusCode ?? 0, answer: await json(response)};
}

export async function metric(name: string): Promise<string | undefined> {
  const figures = await text(await send('GET', '/metrics'));
  return new RegExp(`^${name} (.*)$`, 'm').exec(figures)?.[1];
}

/** Resolves when the daemon has told so many events of that name. */
export async function events(name: string, count: number): Promise<void> {
  const response = await send('GET', '/v1/events');
  let left = count;
  for await (const line of createInterface({input: response}))
    if (line === `event: ${name}` && --left === 0) break;
  response.destroy();
  if (left > 0) throw new Error(`the daemon ended before ${count} times "${name}"`);
}
