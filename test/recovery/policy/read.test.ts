/** Are only those policy files believed that nobody else can write, and is what they say together without contradiction? */
import {execFileSync} from 'node:child_process';
import {chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {system} from '../../../lib/os/system.js';
import {problemText} from '../../../lib/recovery/policy/place.js';
import {policyDirectory, readPolicy} from '../../../lib/recovery/policy/read.js';
import {testAsRoot} from '../../helpers/here.js';

function policyOf(t: ExecutionContext, files: Readonly<Record<string, string>> = {}): string {
  const directory = mkdtempSync(join(tmpdir(), 'locksmith-policy-'));
  t.teardown(() => rmSync(directory, {recursive: true}));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text, {mode: 0o644});
  return directory;
}

/** The faults, without the directory before each of them. */
async function faults(directory: string): Promise<string[]> {
  const {problems} = await readPolicy(system(), directory);
  return problems.map(problem => problemText(problem).replaceAll(`${directory}/`, ''));
}

const FINE = 'locks:\n  aim: {hold: 1s}\n';

test('all *.yaml are read in the order of their names, and no others', async t => {
  const directory = policyOf(t, {
    '20-b.yaml': 'locks:\n  bim: {hold: 2s}\n',
    '10-a.yaml': FINE,
    README: 'words',
    '.hidden.yaml': 'words',
    'a.yaml~': 'words',
  });
  const {files, entries, problems} = await readPolicy(system(), directory);
  t.deepEqual(files, [join(directory, '10-a.yaml'), join(directory, '20-b.yaml')]);
  t.deepEqual(
    entries.map(({name}) => name),
    ['aim', 'bim'],
  );
  t.deepEqual(problems, []);
});

test('a *.yml that would be overlooked is a fault', async t => {
  t.deepEqual(await faults(policyOf(t, {'aim.yml': FINE})), ['aim.yml: its name must end in .yaml']);
});

test('a directory that is not there is no policy, unless it was asked for by name', async t => {
  const missing = join(policyOf(t), 'missing');
  const {files, entries, problems} = await readPolicy({...system(), env: {LOCKSMITH_POLICY: missing}});
  t.deepEqual([files, entries, problems], [[], [], []]);
  t.regex((await faults(missing))[0] ?? '', /ENOENT/);
});

test('LOCKSMITH_POLICY, else /etc/locksmith, is the directory', t => {
  t.is(policyDirectory({...system(), env: {}}), '/etc/locksmith');
  t.is(policyDirectory({...system(), env: {LOCKSMITH_POLICY: '/a'}}), '/a');
  t.is(policyDirectory({...system(), env: {LOCKSMITH_POLICY: '/a'}}, '/b'), '/b');
});

test('the faults of all files are told', async t => {
  const directory = policyOf(t, {'a.yaml': 'locks:\n  aim: {hold: 1}\n', 'b.yaml': 'lcks: {}\n'});
  const found = await faults(directory);
  t.regex(found[0] ?? '', /^a\.yaml:2:15: locks\.aim\.hold: expected a time/);
  t.true(found.includes('b.yaml:1:1: lcks: unknown key; did you mean locks?'));
});

test('a lock or a file that two places speak of is a fault that names both', async t => {
  const guarding = (name: string) => `locks:\n  ${name}: {file: /etc/aim.conf}\n`;
  t.deepEqual(await faults(policyOf(t, {'a.yaml': FINE, 'b.yaml': FINE})), [
    'b.yaml:2:3: locks.aim: is there at a.yaml:2 already',
  ]);
  t.deepEqual(await faults(policyOf(t, {'a.yaml': guarding('aim'), 'b.yaml': guarding('bim')})), [
    'b.yaml:2:3: locks.bim.file: /etc/aim.conf is guarded by aim at a.yaml:2 already',
  ]);
});

test('patterns that disagree on a lock that the policy names are a fault', async t => {
  const found = await faults(
    policyOf(t, {'a.yaml': 'locks:\n  a*: {hold: 1s}\n  "*m": {hold: 2s}\n  aim: {canary: 1}\n'}),
  );
  t.is(found.length, 1);
  t.regex(found[0] ?? '', /^a\.yaml:4:3: locks\.aim: .*a\* \(a\.yaml:2\) and by \*m \(a\.yaml:3\)/);
});

for (const mode of [0o664, 0o646]) {
  test(`a file of mode ${mode.toString(8)} is refused: others may write to it`, async t => {
    const directory = policyOf(t, {'a.yaml': FINE});
    chmodSync(join(directory, 'a.yaml'), mode);
    t.regex((await faults(directory))[0] ?? '', /^a\.yaml: others may write to it/);
  });
}

test('a directory that others may write to is refused: they could put a file there', async t => {
  const directory = policyOf(t, {'a.yaml': FINE});
  chmodSync(directory, 0o1777);
  t.regex((await faults(directory))[0] ?? '', /others may write to it/);
});

testAsRoot('a file that belongs to somebody else is refused', async t => {
  const directory = policyOf(t, {'a.yaml': FINE});
  chownSync(join(directory, 'a.yaml'), 65534, 0);
  t.regex((await faults(directory))[0] ?? '', /^a\.yaml: it belongs to uid 65534/);
});

test('a link, a pipe, a directory and a file that is far too long are refused, and none is waited for', async t => {
  const elsewhere = policyOf(t, {'a.yaml': FINE});
  const directory = policyOf(t, {'long.yaml': '#'.repeat(1024 * 1024 + 1)});
  symlinkSync(join(elsewhere, 'a.yaml'), join(directory, 'link.yaml'));
  execFileSync('mkfifo', [join(directory, 'pipe.yaml')]);
  mkdirSync(join(directory, 'sub.yaml'));
  t.deepEqual(await faults(directory), [
    'link.yaml: it is a symbolic link: put the file itself here',
    'long.yaml: it is longer than 1048576 bytes',
    'pipe.yaml: it is no regular file',
    'sub.yaml: it is no regular file',
  ]);
});

test('a policy that is a file and no directory is a fault', async t => {
  const file = join(policyOf(t, {'a.yaml': FINE}), 'a.yaml');
  t.deepEqual(await faults(file), [`${file}: it is no directory`]);
});
