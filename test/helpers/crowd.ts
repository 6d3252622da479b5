/** Where do many locks come from? A program that makes processes with locks of their own, for tests and benchmarks of speed. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import {compileProgram} from './compile.js';

/** Who is there: `holders` processes with `locks` each, beside `idle` ones without; all with `others` descriptors that were open before. */
export interface Arrangement {
  readonly holders: number;
  readonly locks: number;
  readonly idle: number;
  readonly others: number;
  readonly kind: 'flock' | 'ofd' | 'posix';
}

export interface Crowd {
  /** Has a flock on `files.flock` and an OFD lock on `files.ofd`. */
  readonly holder: number;
  readonly files: {readonly flock: string; readonly ofd: string; readonly free: string};
  /** Ends all of them and removes what they made. */
  end(): Promise<void>;
}

/** Gathers a crowd; resolves when every lock is taken. Needs a C compiler. */
export async function gather({holders, locks, idle, others, kind}: Arrangement): Promise<Crowd> {
  const directory = mkdtempSync(join(tmpdir(), 'locksmith-crowd-'));
  const program = join(directory, 'crowd');
  const source = fileURLToPath(new URL('../../../test/fixtures/crowd.c', import.meta.url));
  compileProgram(source, program);
  const child = spawn(program, [directory, ...[holders, locks, idle, others].map(String), kind], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const gone = once(child, 'exit');
  const end = async () => {
    child.stdin.end();
    await gone;
    rmSync(directory, {recursive: true, force: true});
  };
  const ready = once(createInterface({input: child.stdout}), 'line').then(([line]) => String(line));
  const line = await Promise.race([ready, gone.then(() => undefined)]);
  if (line === undefined) {
    await end();
    throw new Error('the crowd did not come together');
  }
  const files = {
    flock: join(directory, 'one-flock'),
    ofd: join(directory, 'one-ofd'),
    free: join(directory, 'one-free'),
  };
  return {holder: Number(line.split(' ')[1]), files, end};
}
