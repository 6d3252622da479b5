/** Is what the kernel logged about a process found, and what others wrote not believed? */
import {execFileSync} from 'node:child_process';
import {existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {type KernelReport, parseReport, readKernelReports, type ReportKind} from '../../lib/os/kernel-log.js';
import {waitForExit} from '../../lib/os/process.js';
import {isFirstPidNamespace, isFirstTimeNamespace, readSystem} from '../../lib/os/system.js';
import {asRoot, testWith} from '../helpers/here.js';
import {scratch} from '../helpers/native.js';
import {startFixture} from '../helpers/program.js';

const system = readSystem();

const NAMING_4711: Readonly<Record<string, ReportKind>> = {
  'Out of memory: Killed process 4711 (node) total-vm:1083880kB, anon-rss:9216kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:2060kB oom_score_adj:0':
    'memory',
  'Out of memory (oom_kill_allocating_task): Killed process 4711 (a) b) total-vm:1kB': 'memory',
  'Memory cgroup out of memory: Killed process 4711 (ends) total-vm:18600kB': 'memory',
  'node[4711]: segfault at 10 ip 0000562e3e55a148 sp 00007ffceba26220 error 6 in node[1148,562e3e55a000+1000]':
    'fault',
  'a [x]: y[4711]: segfault at 0 ip 0000000000000000 sp 00007ffceba26220 error 14': 'fault',
  '\\xc3\\xa9\\x0a[4711]: segfault at 0 ip 0000000000000000 sp 00007ffceba26220 error 14': 'fault',
  'node[4711] general protection ip:7f1d sp:7fff error:0 in libc.so.6[7f1d+1000]': 'fault',
  'traps: node[4711] general protection fault ip:560f sp:7fff error:0 in node[119b,560f+1000]': 'fault',
  'traps: node[4711] trap invalid opcode ip:55aa sp:7ffc error:0 in node[10b0,55aa+1000]': 'fault',
  'traps: x[9] trap ip:[4711] trap int3 ip:55aa sp:7ffc error:0 in x[9] trap ip:[10b0,55aa+1000]': 'fault',
  'node[4711]: unhandled exception: DABT (lower EL), ESR 0x92000047, level 3 translation fault in node[4000+1000]':
    'fault',
  'INFO: task node:4711 blocked for more than 120 seconds.': 'hung',
  'INFO: task a:9 b:4711 blocked in I/O wait for more than 241 seconds.': 'hung',
};

/** Lines that do not name 4711 as a process that something happened to. */
const NOT_NAMING_4711 = [
  'Out of memory: Killed process 47110 (node) total-vm:1kB',
  'Out of memory: Killed process 14711 (4711) total-vm:1kB',
  'Out of memory: Killed process 9 (process 4711 () total-vm:1kB',
  'usb 1-1: Product: Out of memory: Killed process 4711 (node) total-vm:1kB',
  'audit: type=1701 audit(1.2:3): pid=4711 comm="node[4711]: segfault at 0 ip 0" sig=11',
  'ends[9]: segfault at 10 ip 0 sp 0 error 6 in node[4711]: segfault at 0 ip [0+1000]',
  'traps: ends[9] trap invalid opcode ip:5 sp:7 error:0 in x[4711] trap ip:[10b0,55aa+1000]',
  'INFO: task node:9 blocked for more than 120 seconds. node:4711 blocked for more than 120 seconds',
  'INFO: task node:9 is blocked on a mutex likely owned by task node:4711.',
  'oom-kill:constraint=CONSTRAINT_MEMCG,task_memcg=/x,task=node,pid=4711,uid=0',
  'node[4711] took a break',
];

test('lines of the kernel that name a process are read', t => {
  for (const [text, kind] of Object.entries(NAMING_4711))
    t.deepEqual(parseReport(`6,364,24714550563,-,caller=T1;${text}`, 4711), {
      kind,
      text,
      microseconds: 24_714_550_563,
    });
});

test('lines that name another process, or let it name itself so, are not', t => {
  for (const text of NOT_NAMING_4711) t.is(parseReport(`6,364,1,-;${text}`, 4711), undefined, text);
  t.is(parseReport('6,364,1,-;traps: x[9] trap ip:[4711] trap int3 ip:5 sp:7 error:0', 9), undefined);
});

test('only the facility of the kernel counts, whatever the level; and no fragments of records', t => {
  const [text = ''] = Object.keys(NAMING_4711);
  for (const level of [0, 3, 7]) t.not(parseReport(`${level},1,1,-;${text}`, 4711), undefined);
  for (const prefix of [8, 11, 24 + 3]) t.is(parseReport(`${prefix},1,1,-;${text}`, 4711), undefined);
  for (const line of [text, ` ${text}`, ` KEY=3,1,1,-;${text}`, `3,1,1;${text}`, ''])
    t.is(parseReport(line, 4711), undefined);
});

/** Microseconds since boot, as the log counts, so many milliseconds ago. */
const stamp = (ago: number) => Number(process.hrtime.bigint() / 1000n) - ago * 1000;

const first = isFirstPidNamespace(system) && isFirstTimeNamespace(system);
const readable = first ? undefined : 'the first pid and time namespace';

function recorded(t: ExecutionContext, lines: readonly string[]): string {
  const file = join(scratch(t), 'kmsg');
  writeFileSync(file, lines.map(line => `${line}\n`).join(''));
  return file;
}

testWith(readable, 'of a log, only lines since the owner has the lock count, with their time', async t => {
  const killed = 'Out of memory: Killed process 4711 (node) total-vm:1kB';
  const noise = Array.from({length: 5000}, (_, index) => `6,${index},${index},-;noise ${index}`);
  const kernelLog = recorded(t, [
    `3,1,${stamp(60_000)},-;${killed}`,
    ...noise,
    `3,2,${stamp(20_000)},-;${killed}`,
    ' SUBSYSTEM=memory',
    `3,3,${stamp(10_000)},-;INFO: task node:4711 blocked for more than 120 seconds.`,
  ]);
  const reports = await readKernelReports({...system, kernelLog}, 4711, Date.now() - 30_000);
  t.deepEqual(
    reports.map(({kind}) => kind),
    ['memory', 'hung'],
  );
  for (const [index, ago] of [20_000, 10_000].entries()) {
    const {earliest = 0, latest = 0} = reports[index] ?? {};
    t.true(earliest <= latest && latest <= Date.now() - ago);
  }
  t.deepEqual(await readKernelReports({...system, kernelLog}, 4712, 0), []);
});

testWith(readable, 'each line of a long log counts once, however it is cut into reads', async t => {
  const line = `3,1,${stamp(0)},-;INFO: task node:4711 blocked for more than 120 seconds.`;
  const kernelLog = recorded(t, Array.from<string>({length: 3000}).fill(line));
  t.is((await readKernelReports({...system, kernelLog}, 4711, 0)).length, 3000);
});

testWith(readable, 'a log that can not be read, or counts pids or times otherwise, is silent', async t => {
  const kernelLog = recorded(t, [`3,1,${stamp(0)},-;Out of memory: Killed process 4711 (node) total-vm:1kB`]);
  const read = async (changes: object) => readKernelReports({...system, kernelLog, ...changes}, 4711, 0);
  t.is((await read({})).length, 1);
  for (const changes of [
    {kernelLog: '/nowhere/kmsg'},
    {kernelLog: '/dev/null'},
    {kernelLog: scratch(t)},
    {pidNamespace: 'pid:[4026532000]'},
    {timeNamespace: 'time:[4026532000]'},
  ])
    t.deepEqual(await read(changes), [], JSON.stringify(changes));
});

testWith(readable, 'a FIFO in place of the log does not stop us', async t => {
  const kernelLog = join(scratch(t), 'fifo');
  execFileSync('mkfifo', [kernelLog]);
  t.deepEqual(await readKernelReports({...system, kernelLog}, 4711, 0), []);
});

// --- the log of this kernel ---

function kernelLogMissing(): string | undefined {
  if (asRoot !== undefined || readable !== undefined) return asRoot ?? readable;
  return existsSync('/dev/kmsg') ? undefined : '/dev/kmsg';
}

function faultsMissing(): string | undefined {
  const setting = '/proc/sys/debug/exception-trace';
  const on = existsSync(setting) && readFileSync(setting, 'utf8').trim() === '1';
  return kernelLogMissing() ?? (on ? undefined : `${setting} = 1`);
}

/** Lets fixtures/ends.c end in a way; what the kernel says of it. */
async function reportsOf(
  t: ExecutionContext,
  how: string,
  prepare: (pid: number) => void = () => undefined,
): Promise<{pid: number; reports: KernelReport[]; since: number}> {
  const since = Date.now();
  const program = startFixture(t, 'ends', how);
  await program.line();
  prepare(program.pid);
  const end = waitForExit(program.pid);
  program.child.stdin.write('\n');
  await end;
  return {pid: program.pid, reports: await readKernelReports(system, program.pid, since), since};
}

for (const [how, line] of [
  ['segfault', /^ends\[\d+\]: segfault at 10 ip /],
  ['protection', /general protection/],
  ['opcode', /trap invalid opcode/],
] as const) {
  const missing = how === 'segfault' || process.arch === 'x64' ? faultsMissing() : 'x86-64';
  testWith(missing, `a fault is found in the kernel log: ${how}`, async t => {
    const {pid, reports, since} = await reportsOf(t, how);
    t.is(reports.length, 1);
    const [report] = reports;
    t.is(report?.kind, 'fault');
    t.regex(report?.text ?? '', line);
    t.true(report !== undefined && report.latest >= since && report.latest <= Date.now());
    t.deepEqual(await readKernelReports(system, pid, Date.now() + 1), [], 'later owners of the pid');
  });
}

/** Where memory cgroups can be made here, and the file with their limit. */
function memoryCgroups(): {point: string; limit: string} | undefined {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  const v1 = /^\S+ \S+ \S+ \/ (\S+) .* - cgroup \S+ \S*\bmemory\b/m.exec(mounts)?.[1];
  if (v1 !== undefined) return {point: v1, limit: 'memory.limit_in_bytes'};
  const v2 = /^\S+ \S+ \S+ \/ (\S+) .* - cgroup2 /m.exec(mounts)?.[1];
  const control = v2 === undefined ? undefined : join(v2, 'cgroup.subtree_control');
  const usable =
    control !== undefined && existsSync(control) && /\bmemory\b/.test(readFileSync(control, 'utf8'));
  return usable ? {point: v2 ?? '', limit: 'memory.max'} : undefined;
}

const memory = memoryCgroups();

testWith(
  kernelLogMissing() ?? (memory ? undefined : 'memory cgroups'),
  'a kill for want of memory is found in the kernel log',
  async t => {
    const {point, limit} = memory ?? {point: '', limit: ''};
    const group = join(point, `locksmith-test-${process.pid}`);
    mkdirSync(group);
    t.teardown(() => rmdirSync(group));
    const {pid, reports} = await reportsOf(t, 'memory', ends => {
      writeFileSync(join(group, limit), String(16 << 20));
      writeFileSync(join(group, 'cgroup.procs'), String(ends));
    });
    t.is(reports.length, 1);
    t.is(reports[0]?.kind, 'memory');
    t.regex(
      reports[0]?.text ?? '',
      new RegExp(`^Memory cgroup out of memory: Killed process ${pid} \\(ends\\)`),
    );
  },
);

testWith(kernelLogMissing(), 'a line that root forges through /dev/kmsg is not believed', async t => {
  const since = Date.now();
  const text = `Out of memory: Killed process ${process.pid} (node) forged by a test, harmless`;
  writeFileSync('/dev/kmsg', `<3>${text}\n`);
  t.deepEqual(await readKernelReports(system, process.pid, since), []);
  const written = execFileSync('dmesg', ['--raw'], {encoding: 'utf8', maxBuffer: 1 << 28});
  t.true(written.includes(text), 'the line is there');
});
