/** What is on the disk of the test machine? busybox, this machine's node, the project as built, the module, and systemd where tests need it. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {basename, dirname, join} from 'node:path';
import {run} from './command.js';
import {MODULE} from './kernel-module.js';
import type {Stages} from './stages.js';
import {addSystemd, PROGRAMS} from './systemd-image.js';

const FOLDERS =
  'etc proc sys dev tmp run root var/lib usr/bin usr/lib usr/lib64 vm/bin vm/build/Release'.split(' ');

/** As on Debian, where programs are found by either path. */
const LINKS = {bin: 'usr/bin', sbin: 'usr/bin', lib: 'usr/lib', lib64: 'usr/lib64', 'usr/sbin': 'bin'};

const ACCOUNTS = {
  passwd: [
    'root:x:0:0:root:/root:/bin/sh',
    'alice:x:1000:1000:alice:/tmp:/bin/sh',
    'bob:x:1001:1001:bob:/tmp:/bin/sh',
    'messagebus:x:991:991:dbus:/:/bin/sh',
    'nobody:x:65534:65534:nobody:/:/bin/sh',
  ],
  group: [
    'root:x:0:',
    'locksmith:x:990:',
    'messagebus:x:991:',
    'alice:x:1000:',
    'bob:x:1001:',
    'nogroup:x:65534:',
  ],
};

/** Of the packages that are installed, those that only compile, lint and format: three quarters of the size. */
const LEFT_OUT = /^(\.|@biomejs$|@typescript$|typescript$|@?oxlint)/;

/** What the disk is made of. */
export interface Content {
  /** The project's folder. */
  readonly project: string;
  /** Path of the module. */
  readonly module: string;
  /** What ava is called with. */
  readonly stages: Stages;
}

async function copy(files: readonly string[], folder: string): Promise<void> {
  await run(['cp', '-r', '--reflink=auto', '--', ...files, folder]);
}

/** The libraries that ldd(1) finds for a program or an addon, in their places. */
async function copyLibraries(file: string, root: string): Promise<void> {
  // A static program has none: ldd says so, and fails.
  const {stdout} = await run(['ldd', file]).catch(() => ({stdout: ''}));
  for (const [library] of stdout.matchAll(/\/\S+(?= \(0x)/g)) {
    mkdirSync(join(root, dirname(library)), {recursive: true});
    copyFileSync(library, join(root, library));
  }
}

async function copyProgram(program: string, root: string, to: string): Promise<void> {
  copyFileSync(program, join(root, to));
  chmodSync(join(root, to), 0o755);
  await copyLibraries(program, root);
}

async function addSystem(root: string): Promise<void> {
  for (const folder of FOLDERS) mkdirSync(join(root, folder), {recursive: true});
  for (const [link, target] of Object.entries(LINKS)) symlinkSync(target, join(root, link));
  for (const [name, lines] of Object.entries(ACCOUNTS)) {
    writeFileSync(join(root, 'etc', name), lines.map(line => `${line}\n`).join(''));
  }
  const busybox = realpathSync((await run(['sh', '-c', 'command -v busybox'])).stdout.trim());
  await copyProgram(busybox, root, 'bin/busybox');
  await copyProgram(process.execPath, root, 'bin/node');
  for (const applet of (await run([busybox, '--list'])).stdout.trim().split('\n')) {
    if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet));
  }
}

/** Programs in C, static: they start quickly, and in any environment. */
async function addPrograms(sources: readonly string[], bin: string): Promise<void> {
  const flags = ['-static', '-O2', '-Wall', '-Wextra', '-Werror', '-pthread'];
  await Promise.all(
    sources.map(source => run(['gcc-12', ...flags, '-o', join(bin, basename(source, '.c')), source])),
  );
}

function sourcesIn(folder: string): string[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.filter(name => name.endsWith('.c')).map(name => join(folder, name));
}

async function addProject({project, module, stages}: Content, root: string): Promise<void> {
  const vm = join(root, 'vm');
  const at = (...path: string[]) => join(project, ...path);
  await copy([at('dist'), at('docs'), at('packaging'), at('package.json'), at('ava.config.js')], vm);
  chmodSync(join(vm, 'dist/lib/cli/main.js'), 0o755);
  mkdirSync(join(vm, 'lib/daemon'), {recursive: true});
  await copy([at('lib/daemon/page')], join(vm, 'lib/daemon'));
  await copy([at('build/Release/locksmith.node')], join(vm, 'build/Release'));
  await copyLibraries(at('build/Release/locksmith.node'), root);
  const packages = readdirSync(at('node_modules')).filter(name => !LEFT_OUT.test(name));
  mkdirSync(join(vm, 'node_modules'));
  await copy(
    packages.map(name => at('node_modules', name)),
    join(vm, 'node_modules'),
  );
  await addPrograms([at('test/machine/leave.c'), ...sourcesIn(at('test/vm/programs'))], join(vm, 'bin'));
  copyFileSync(module, join(vm, `${MODULE}.ko`));
  for (const [stage, args] of Object.entries(stages) as [string, readonly string[]][])
    writeFileSync(join(vm, `tests-${stage}`), args.map(line => `${line}\n`).join(''));
}

async function addManager({project}: Content, root: string): Promise<void> {
  for (const program of PROGRAMS) {
    mkdirSync(join(root, dirname(program)), {recursive: true});
    await copyProgram(program, root, program);
  }
  addSystemd(root, join(project, 'packaging'));
}

/** Makes the image in a scratch folder and gives its path. Without root, all files belong to whoever makes it. */
export async function makeRootImage(content: Content, scratch: string): Promise<string> {
  // Inside, others than its maker read it.
  process.umask(0o022);
  const root = join(scratch, 'root');
  await addSystem(root);
  await addProject(content, root);
  if (content.stages.systemd) await addManager(content, root);
  copyFileSync(join(content.project, 'test/machine/init'), join(root, 'init'));
  const image = join(scratch, 'root.img');
  // Each run begins with a fresh disk: nothing is there for a journal to save.
  await run(['mke2fs', '-q', '-t', 'ext4', '-O', '^has_journal', '-d', root, image, '512M']);
  return image;
}
