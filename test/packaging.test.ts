/** Does what is packaged fit together: one version, one module name, files and users that exist? */
import {readdirSync, readFileSync} from 'node:fs';
import test from 'ava';

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
