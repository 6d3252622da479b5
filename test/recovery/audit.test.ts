/** Does the audit log keep its chain, through crashes, full disks and tampering? */
import {spawnSync} from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {system} from '../../lib/os/system.js';
import {
  appendAudit,
  auditFile,
  auditPath,
  auditRecords,
  auditStream,
  importAudit,
  lastAuditRecords,
  verifyAudit,
  verifyAuditIn,
} from '../../lib/recovery/audit.js';
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

test('the last records are read from the end, however long the log is, without what is torn', async t => {
  const path = state(t);
  t.deepEqual(await lastAuditRecords(path, 5), []);
  await append(path, 3);
  t.deepEqual(
    (await lastAuditRecords(path, 5)).map(({seq}) => seq),
    [1, 2, 3],
  );
  // Longer than what is read at first.
  await appendAudit(system(), path, 'test', 'aim', {long: 'x'.repeat(100_000)});
  await append(path, 2);
  appendFileSync(auditPath(path), '{"seq":7,"ti');
  t.deepEqual(
    (await lastAuditRecords(path, 1)).map(({seq}) => seq),
    [6],
  );
  t.deepEqual(
    (await lastAuditRecords(path, 4)).map(({seq}) => seq),
    [3, 4, 5, 6],
  );
  t.deepEqual(
    (await lastAuditRecords(path, 99)).map(({seq}) => seq),
    [1, 2, 3, 4, 5, 6],
  );
});

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

test('a log elsewhere is chained the same way, and goes on where it ended', async t => {
  const path = join(state(t), 'usb.jsonl');
  for (let index = 0; index < 3; index++)
    await appendAudit(system(), auditFile(path), 'test', 'aim', {index});
  t.like(await verifyAuditIn(path), {ok: true, records: 3});
});

test('a log that is handed on is one chain, which its reader can check', async t => {
  const path = join(state(t), 'stdout.jsonl');
  const stream = auditStream('stdout', async line => appendFileSync(path, line));
  await appendAudit(system(), stream, 'recover.intent', 'aim', {});
  await appendAudit(system(), stream, 'all-clear', 'aim', {});
  t.like(await verifyAuditIn(path), {ok: true, records: 2});
  t.true(
    readFileSync(path, 'utf8')
      .split('\n')
      .slice(0, 2)
      .every(line => line.startsWith('{"seq":')),
  );
});

test('a record that nobody took is not in the chain of a log that is handed on', async t => {
  const taken: string[] = [];
  let refuses = true;
  const stream = auditStream('stdout', async line => {
    if (refuses) throw new Error('closed');
    taken.push(line);
  });
  await t.throwsAsync(appendAudit(system(), stream, 'test', 'aim', {}), {message: 'closed'});
  refuses = false;
  t.is((await appendAudit(system(), stream, 'test', 'aim', {})).seq, 1);
  t.is(taken.length, 1);
});

const FOREIGN: readonly (readonly [what: string, text: string])[] = [
  ['lines of somebody else', 'gain = 7\nmode = fast\n'],
  ['a line of somebody else without its end', 'gain = 7'],
  ['JSON of somebody else without its end', '{"gain": 7}'],
  ['a record, and then something without its end', '{"seq":1}\ngain'],
];

for (const [what, text] of FOREIGN) {
  test(`${what}: refused as a log, and left as it is`, async t => {
    const path = join(state(t), 'aim.conf');
    writeFileSync(path, text);
    await t.throwsAsync(appendAudit(system(), auditFile(path), 'test', 'aim', {}), {
      code: 'ERR_AUDIT_BROKEN',
    });
    t.is(readFileSync(path, 'utf8'), text);
  });
}

test('what is no file is refused as a log, and not waited for', async t => {
  const path = join(state(t), 'pipe');
  spawnSync('mkfifo', [path]);
  await t.throwsAsync(appendAudit(system(), auditFile(path), 'test', 'aim', {}), {code: 'ERR_AUDIT_BROKEN'});
  await t.throwsAsync(appendAudit(system(), auditFile(join(path, '..')), 'test', 'aim', {}), {
    code: 'EISDIR',
  });
});

test('records from elsewhere are imported whole, each once', async t => {
  const home = state(t);
  await append(home, 1);
  const path = join(home, 'usb.jsonl');
  const first = await appendAudit(system(), auditFile(path), 'recover.intent', 'aim', {reason: 'drill'});
  t.deepEqual(await importAudit(system(), home, path), {added: 1, known: 0});
  await appendAudit(system(), auditFile(path), 'all-clear', 'aim', {});
  t.deepEqual(await importAudit(system(), home, path), {added: 1, known: 1});
  const records = [];
  for await (const record of auditRecords(home)) records.push(record);
  t.deepEqual(
    records.map(({event, lock}) => [event, lock]),
    [
      ['test', 'aim'],
      ['imported', 'aim'],
      ['imported', 'aim'],
    ],
  );
  t.deepEqual(records[1]?.['record'], first);
  t.true((await verifyAudit(home)).ok);
});

test('a log from elsewhere whose chain is broken, or that is not there, is not imported', async t => {
  const home = state(t);
  const path = join(home, 'usb.jsonl');
  await appendAudit(system(), auditFile(path), 'test', 'aim', {reason: 'drill'});
  writeFileSync(path, readFileSync(path, 'utf8').replace('drill', 'grill'));
  await t.throwsAsync(importAudit(system(), home, path), {code: 'ERR_AUDIT_BROKEN', message: /line 1/});
  await t.throwsAsync(importAudit(system(), home, join(home, 'missing')), {code: 'ENOENT'});
  t.false(existsSync(auditPath(home)));
});
