/**
 * Does `locksmith recover` end with the status that its help and docs/operations.md promise? One real run for each row of
 * that table; scripts rely on them.
 */
import {
  chmodSync,
  closeSync,
  openSync,
  readFileSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
  mkdirSync,
} from 'node:fs';
import {execFileSync} from 'node:child_process';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {recoverCommand} from '../../lib/cli/commands/recover.js';
import {findConfigLock} from '../../lib/recovery/guarded-config.js';
import {bench, type Bench, guardedBench, NAME, occupy, orphan} from '../helpers/cli.js';
import {type Ended} from '../helpers/started.js';
import {asRoot, testWith} from '../helpers/here.js';
import {instrumented} from '../helpers/sanitizers.js';
import {stopProcess} from '../helpers/proc-state.js';
import {tinyFileSystem} from '../helpers/tiny-fs.js';

/** A run that is to end with the status of a row of the table. */
interface Case {
  /** Begins the row. */
  readonly row: string;
  readonly what: string;
  readonly status: number;
  /** Found in stderr; the certificate of ALL CLEAR is in stdout. */
  readonly says?: RegExp;
  /** The lock afterwards; by default as an orphan is before. */
  readonly after?: 'FREE' | 'DEAD' | 'ALIVE' | 'FROZEN' | 'UNKNOWN';
  readonly needs?: string | undefined;
  /** A sanitizer would fail first. */
  readonly plain?: true;
  /** Makes the situation, and runs it. */
  readonly run: (made: Bench, t: ExecutionContext) => Promise<Ended>;
}

async function orphaned(made: Bench, ...args: string[]): Promise<Ended> {
  await orphan(made);
  return made.run(['recover', NAME, ...args]);
}

/** Runs while this process has the file open for writing. */
async function beside(made: Bench, act: () => Promise<Ended>): Promise<Ended> {
  const fd = openSync(made.file, 'r+');
  try {
    return await act();
  } finally {
    closeSync(fd);
  }
}

async function withBrokenResume(made: Bench): Promise<Ended> {
  const policy = join(made.directory, 'policy');
  mkdirSync(policy);
  const pair = "{stop: 'true', resume: exit 3, within: 60s}";
  writeFileSync(join(policy, 'locks.yaml'), `locks:\n  ${NAME}:\n    quiesce: [${pair}]\n`);
  return orphaned(made, '--policy', policy);
}

async function withTornRecord(made: Bench): Promise<Ended> {
  await orphan(made);
  writeFileSync(join(made.roots.run, 'locks', NAME, 'owner'), 'torn');
  return made.run(['recover', NAME]);
}

async function besideCycle(made: Bench): Promise<Ended> {
  const {finish} = await occupy(made, '-s');
  await orphan(made);
  const ended = await made.run(['recover', NAME, '--hold', '300ms']);
  await finish();
  return ended;
}

/** The other waits for a contender, which is us. */
async function besideAnother(made: Bench): Promise<Ended> {
  await orphan(made);
  const fd = openSync(made.file, 'r+');
  const other = made.start('recover', NAME, '--json');
  await other.reaches('"hold"');
  const ended = await made.run(['recover', NAME]);
  closeSync(fd);
  if ((await other.ended).code !== 0) throw new Error('the other did not come to its end');
  return ended;
}

/** The validator outlasts the hold: it ends when somebody could enter again. A hold that ends before the validator begins is too short for this machine. */
async function withSlowValidator(made: Bench): Promise<Ended> {
  await orphan(made);
  const door = join(made.directory, 'door');
  execFileSync('mkfifo', [door]);
  const validate = `read go < ${door}`;
  for (let seconds = 2; ; seconds *= 2) {
    const recovering = made.start('recover', NAME, '--hold', `${seconds}s`, '--json', '--validate', validate);
    if (!(await recovering.reaches('"handover"'))) continue;
    const cycle = await findConfigLock(NAME, made.roots)?.enter();
    cycle?.leave();
    // Open for both, so that nobody waits should the hold have ended before the validator began.
    const fd = openSync(door, 'r+');
    writeSync(fd, 'go\n');
    const ended = await recovering.ended;
    closeSync(fd);
    return ended;
  }
}

async function interrupted(made: Bench): Promise<Ended> {
  await orphan(made);
  const fd = openSync(made.file, 'r+');
  const recovering = made.start('recover', NAME, '--json');
  await recovering.reaches('"contenders"');
  recovering.child.kill('SIGINT');
  const ended = await recovering.ended;
  closeSync(fd);
  return ended;
}

/** The disk fills up after the intent and before ALL CLEAR: the validator runs in between. */
async function withDiskFullJustNow(made: Bench, t: ExecutionContext): Promise<Ended> {
  const disk = tinyFileSystem.mount(t, '64k');
  await orphan(made);
  const path = join(disk, 'audit.jsonl');
  // A record longer than a page, so that it can't fit into what is left of the last one.
  const reason = 'x'.repeat(5000);
  const fill = `cat /dev/zero > ${disk}/full 2>/dev/null; true`;
  return made.run(['recover', NAME, '--audit-to', path, '--reason', reason, '--validate', fill]);
}

/** Runs what follows without one of the kernel's file systems. */
function without(path: string): string[] {
  return ['unshare', '--mount', 'sh', '-c', `umount -l ${path} && exec "$@"`, 'sh'];
}

async function asNobody(made: Bench): Promise<Ended> {
  await orphan(made);
  chmodSync(made.directory, 0o755);
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  return made.runUnder(nobody, ['recover', NAME]);
}

const CASES: readonly Case[] = [
  {
    row: 'ALL CLEAR',
    what: 'a dead owner',
    status: 0,
    after: 'FREE',
    run: made => orphaned(made),
  },
  {
    row: 'the lock is free',
    what: 'a free lock',
    status: 0,
    after: 'FREE',
    run: async made => {
      await made.run(['run', made.file, '--', 'true']);
      return made.run(['recover', NAME]);
    },
  },
  {
    row: 'the owner is not proven dead',
    what: 'a living owner',
    status: 1,
    says: /who lives/,
    after: 'ALIVE',
    run: async made => {
      await occupy(made);
      return made.run(['recover', NAME]);
    },
  },
  {
    row: 'the owner is not proven dead',
    what: 'a frozen owner',
    status: 1,
    says: /can not run/,
    after: 'FROZEN',
    run: async made => {
      const {started} = await occupy(made);
      stopProcess(started.pid);
      return made.run(['recover', NAME]);
    },
  },
  {
    row: 'the owner is not proven dead',
    what: 'an owner whose record is torn',
    status: 1,
    says: /Nothing was changed/,
    after: 'UNKNOWN',
    run: withTornRecord,
  },
  {
    row: 'a contender remains',
    what: 'a process with the file open for writing',
    status: 1,
    says: new RegExp(`pid ${process.pid}.* has the file open for writing`),
    run: made => beside(made, () => orphaned(made, '--hold', '2s')),
  },
  {
    row: 'not everybody came to the hold point',
    what: 'a cycle that does not end',
    status: 1,
    says: /did not come to the hold point/,
    run: besideCycle,
  },
  {
    row: 'an orchestrator could not be stopped',
    what: 'a directory that is no cgroup',
    status: 1,
    says: /it is not the directory of a cgroup v2/,
    run: made => orphaned(made, '--quiesce', `freezer:${made.directory}`),
  },
  {
    row: 'ALL CLEAR, but an orchestrator',
    what: 'a command of the policy that does not resume it',
    status: 2,
    says: /does not go on: command "true" \(it exited with code 3; by hand: exit 3\)/,
    after: 'FREE',
    run: withBrokenResume,
  },
  {
    row: 'taken back, but the file is not clean',
    what: 'a validator that refuses',
    status: 2,
    says: /the validator refuses/,
    run: made => orphaned(made, '--validate', 'false'),
  },
  {
    row: 'taken back, but the file is not clean',
    what: 'a validator that is not there',
    status: 2,
    says: /a program of it is not there; --validate true goes without it/,
    run: made => orphaned(made, '--validate', '/usr/missing/aimctl check'),
  },
  {
    row: 'the audit log takes no record',
    what: 'an audit log that can not be made',
    status: 2,
    says: /takes no record, so nothing was done[^]*--audit-to/,
    run: made => orphaned(made, '--audit-to', join(made.directory, 'missing', 'audit.jsonl')),
  },
  {
    row: 'no such lock',
    what: 'a name that no lock has',
    status: 2,
    says: /no lock is called/,
    run: async made => {
      await orphan(made);
      return made.run(['recover', 'nobody_knows']);
    },
  },
  {
    row: 'usage',
    what: 'a time that is none',
    status: 64,
    says: /A duration is a number with its unit/,
    run: made => orphaned(made, '--hold', 'soon'),
  },
  {
    row: '/proc is not mounted',
    what: 'a system without /proc',
    status: 69,
    says: /procfs is not mounted on \/proc: nothing can be proven/,
    needs: asRoot,
    plain: true,
    run: async made => {
      await orphan(made);
      return made.runUnder(without('/proc'), ['recover', NAME]);
    },
  },
  {
    row: '/proc is not mounted',
    what: 'a bit that the kernel keeps, without /sys',
    status: 69,
    says: /sysfs is not mounted on \/sys/,
    after: 'UNKNOWN',
    needs: asRoot,
    run: async made => {
      await orphan(made);
      const link = join(made.roots.run, 'locks', NAME, 'bit');
      unlinkSync(link);
      symlinkSync(`/sys/locks/${NAME}`, link);
      return made.runUnder(without('/sys'), ['recover', NAME]);
    },
  },
  {
    row: 'no daemon answers',
    what: 'the daemon or nothing, and none is there',
    status: 69,
    says: /no daemon answers on/,
    run: made => orphaned(made, '--via', 'daemon'),
  },
  {
    row: 'ALL CLEAR, but the audit log took no record',
    what: 'a disk that is full just before ALL CLEAR',
    status: 74,
    says: /is clean and free, but .*ENOSPC[^]*\n {2}record: \{"event":"all-clear"/,
    after: 'FREE',
    needs: asRoot,
    run: withDiskFullJustNow,
  },
  {
    row: 'another recovery is under way',
    what: 'two recoveries at once',
    status: 75,
    says: /is being recovered already by pid/,
    after: 'FREE',
    run: besideAnother,
  },
  {
    row: 'the hold ended before the work did',
    what: 'a validator that outlasts the hold',
    status: 75,
    says: /ERR_HOLD_EXPIRED/,
    run: withSlowValidator,
  },
  {
    row: 'not permitted',
    what: 'a user who owns nothing here',
    status: 77,
    says: /EACCES|permission denied/,
    needs: asRoot,
    run: asNobody,
  },
  {
    row: 'ended by signal N',
    what: 'Ctrl-C while it waits for a contender',
    status: 130,
    says: /SIGINT/,
    run: interrupted,
  },
];

for (const each of CASES.filter(({plain}) => !plain || !instrumented)) {
  const {row, what, status, says = /^$/, after = 'DEAD', needs, run} = each;
  testWith(needs, `${status}, ${row}: ${what}`, async t => {
    const made = bench(t);
    const ended = await run(made, t);
    t.is(ended.code, status, ended.stderr);
    if (status !== 0) t.regex(ended.stderr, says);
    t.is((await made.json<{state: string}>('explain', NAME)).state, after);
    if (after === 'DEAD') t.is((await made.run(['recover', NAME])).code, 0, 'running it again finishes');
  });
}

test('every row of the table has a run, and each run a row with its status', t => {
  const {exits} = recoverCommand;
  for (const [status, meaning] of exits)
    t.true(
      CASES.some(
        each =>
          meaning.startsWith(each.row) && (status === '128+N' ? each.status > 128 : each.status === status),
      ),
      meaning,
    );
  for (const {row} of CASES)
    t.true(
      exits.some(([, meaning]) => meaning.startsWith(row)),
      row,
    );
});

test('docs/operations.md and the help have that table', async t => {
  const page = readFileSync(fileURLToPath(new URL('../../../docs/operations.md', import.meta.url)), 'utf8');
  const help = (await (await guardedBench(t)).run(['recover', '--help'])).stdout;
  for (const [status, meaning] of recoverCommand.exits) {
    t.true(page.includes(`| ${status} | ${meaning} |`), meaning);
    t.regex(
      help,
      new RegExp(`^  ${String(status).replace('+', '\\+')} +${meaning.replaceAll(/[/.]/g, '\\$&')}$`, 'm'),
    );
  }
});
