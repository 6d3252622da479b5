/** Does the audit log keep its chain, through crashes, full disks and tampering? */
import {spawnSync} from 'node:child_process';
import {appendFileSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {system} from '../../lib/os/system.js';
import {appendAudit, auditPath, verifyAudit} from '../../lib/recovery/audit.js';
import {testAsRoot} from '../helpers/here.js';
import {scratch} from '../helpers/scratch.js';
import {tinyFileSystem} from '../helpers/tiny-fs.js';

function state(t: ExecutionContext): string {
  const {directory} = scratch(t);
  const path = join(directory, 'audit');
  mkdirSync(path);
  return path;
}

async function append(path: string, count: number): Promise<void> {
  for (let index = 0; index < count; index++) await appendAudit(system(), path, 'test', 'aim', {index});
}

test('records are chained, and the chain holds', async t => {
  const path = state(t);
  t.deepEqual(await verifyAudit(path), {
    path: auditPath(path),
    records: 0,
    ok: true,
    problems: [],
    torn: false,
  });
  await append(path, 5);
  const report = await verifyAudit(path);
  t.true(report.ok);
  t.is(report.records, 5);
});

test('appends at the same time make one chain', async t => {
  const path = state(t);
  await Promise.all([append(path, 20), append(path, 20), append(path, 20)]);
  t.like(await verifyAudit(path), {ok: true, records: 60});
});

const TAMPERING: [string, (lines: string[]) => string[], number][] = [
  ['a changed word', lines => lines.with(1, (lines[1] ?? '').replace('"test"', '"tent"')), 2],
  ['a removed line', lines => lines.toSpliced(1, 1), 2],
  ['two lines exchanged', ([a = '', b = '', c = '']) => [a, c, b], 2],
  ['an added line', lines => lines.toSpliced(2, 0, lines[0] ?? ''), 3],
];

for (const [what, change, line] of TAMPERING) {
  test(`${what} breaks the chain, and the line is named`, async t => {
    const path = state(t);
    await append(path, 3);
    const lines = readFileSync(auditPath(path), 'utf8').trimEnd().split('\n');
    writeFileSync(auditPath(path), `${change(lines).join('\n')}\n`);
    const report = await verifyAudit(path);
    t.false(report.ok);
    t.is(report.problems[0]?.line, line);
  });
}

test('an append that was cut short is told, and removed by the next', async t => {
  const path = state(t);
  await append(path, 2);
  appendFileSync(auditPath(path), '{"seq":3,"time":"2026');
  t.like(await verifyAudit(path), {ok: true, torn: true, records: 2});
  await append(path, 1);
  t.like(await verifyAudit(path), {ok: true, torn: false, records: 3});
});

test('a log whose end is broken takes no further record', async t => {
  const path = state(t);
  await append(path, 2);
  appendFileSync(auditPath(path), 'something else\n');
  await t.throwsAsync(append(path, 1), {code: 'ERR_AUDIT_BROKEN'});
});

test('a record longer than the window that is read at the end is found', async t => {
  const path = state(t);
  await append(path, 1);
  await appendAudit(system(), path, 'test', 'aim', {long: 'x'.repeat(200_000)});
  await append(path, 1);
  t.like(await verifyAudit(path), {ok: true, records: 3});
});

testAsRoot('a full disk refuses the record and leaves the log as it was', async t => {
  const path = tinyFileSystem.mount(t, '128k');
  await append(path, 2);
  const {size} = statSync(auditPath(path));
  const full = join(path, 'full');
  spawnSync('sh', ['-c', `cat /dev/zero > ${full}`]);
  await t.throwsAsync(appendAudit(system(), path, 'test', 'aim', {long: 'x'.repeat(100_000)}), {
    code: 'ENOSPC',
  });
  t.is(statSync(auditPath(path)).size, size);
  truncateSync(full, 0);
  await append(path, 1);
  t.like(await verifyAudit(path), {ok: true, records: 3});
});
