/** Does what is packaged fit together: one version, one module name, files and users that exist? */
import {readdirSync, readFileSync} from 'node:fs';
import test from 'ava';
import {bench} from './helpers/cli.js';

const read = (path: string) => readFileSync(path, 'utf8');

/** What a pattern's group finds in a text, each once, sorted. */
function found(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, name = '']) => name))].sort((a, b) =>
    a.localeCompare(b),
  );
}

test('package, module and DKMS have the same version', t => {
  const {version} = JSON.parse(read('package.json')) as {version: string};
  t.true(read('native/kernel/locksmith.c').includes(`MODULE_VERSION("${version}")`));
  t.true(read('native/kernel/dkms.conf').includes(`PACKAGE_VERSION="${version}"`));
  t.true(read('docs/operations.md').includes(`dkms install locksmith/${version}`));
});

test('every file of the module is documented, and every file that is documented is there', t => {
  const source = read('native/kernel/locksmith.c');
  const files = found(
    source,
    /^(?:static struct kobj_attribute \w+ = __ATTR_(?:RW|RO|WO)|module_param\w*)\((\w+)/gm,
  );
  t.true(files.includes('conf_locked') && files.includes('max_locks'));
  t.deepEqual(found(read('docs/sysfs-locks'), /^What:\s+\/sys\/.*?(\w+)$/gm), files);
});

test('rules of udev and tmpfiles are about the files that a group may write to', t => {
  const files = ['conf_locked', 'create', 'handover', 'release', 'remove'];
  t.deepEqual(found(read('packaging/udev/60-locksmith.rules'), /\/sys(?:\/locks|%p)\/(\w+)/g), files);
  t.deepEqual(
    found(read('packaging/tmpfiles.d/locksmith.conf'), /^z \/sys\/locks\/(?:\*\/)?(\w+) /gm),
    files,
  );
});

test('every file of the packaging is installed by the instructions', t => {
  const operations = read('docs/operations.md');
  for (const directory of readdirSync('packaging'))
    t.true(operations.includes(`packaging/${directory}/*`), directory);
});

test('every unit of systemd starts a command that there is', async t => {
  const units = readdirSync('packaging/systemd');
  t.true(units.includes('locksmith-fleet.service'));
  for (const unit of units) {
    const [, words = ''] = /^ExecStart=locksmith (.*)$/m.exec(read(`packaging/systemd/${unit}`)) ?? [];
    const {code, stdout} = await bench(t).run([...words.split(' '), '--help']);
    t.is(code, 0, unit);
    t.true(stdout.includes(`Usage: locksmith ${words} [options]`), unit);
  }
});
