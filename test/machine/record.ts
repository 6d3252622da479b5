/** How are the tables in test/recorded made? By a kernel of Debian in a virtual machine, where only our program runs. */
import {mkdirSync, readdirSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {chooseAccelerator} from './accelerator.js';
import {Cache} from './cache.js';
import {run} from './command.js';
import {DebianKernels, unpack} from './debian.js';
import {note, step} from './progress.js';
import {runMachine} from './qemu.js';

const project = fileURLToPath(new URL('../../../', import.meta.url));
const SOURCE = join(project, 'test/machine/record-tables.c');
const FOLDERS = 'dev proc file/mandatory inner client modules'.split(' ');
const LIMIT_SECONDS = 120;
/** leave(0) in record-tables.c */
const DONE = 33;

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const BULLSEYE = ['debian bullseye', 'debian-security bullseye-security']
  .map(suite => `deb [signed-by=${KEYRING}] http://deb.debian.org/${suite} main\n`)
  .join('');

/** What is booted, and modules for the delegations of a file server, which Debian does not build in. */
interface Recorder {
  readonly image: string;
  readonly modules: readonly string[];
}

const MODULES =
  /\/(sunrpc|auth_rpcgss|grace|lockd|nfs_acl|nfsd|dns_resolver|netfs|fscache|nfs|nfsv4)\.ko(\.xz)?$/;

/** Linux 5.10 is Debian 11's, which no list of apt's on this system names: it gets lists of its own. */
async function downloadBullseye(folder: string): Promise<void> {
  const at = (path: string) => join(folder, path);
  for (const path of ['lists/partial', 'archives/partial']) mkdirSync(at(path), {recursive: true});
  writeFileSync(at('sources.list'), BULLSEYE);
  const options = [
    `Dir::Etc::sourcelist=${at('sources.list')}`,
    'Dir::Etc::sourceparts=-',
    `Dir::State::lists=${at('lists')}`,
    `Dir::Cache=${folder}`,
    'Acquire::Languages=none',
    'APT::Sandbox::User=root',
  ].flatMap(option => ['-o', option]);
  await run(['apt-get', '-qq', ...options, 'update']);
  const {stdout} = await run(['apt-cache', ...options, 'depends', 'linux-image-cloud-amd64']);
  const [, name = ''] = /Depends: (linux-image-\S+)/.exec(stdout) ?? [];
  await run(['apt-get', '-qq', ...options, 'download', name], {cwd: folder});
  await run(['sh', '-c', 'dpkg-deb --extract linux-image-*.deb . && rm -r lists linux-image-*.deb'], {
    cwd: folder,
  });
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, {recursive: true, encoding: 'utf8'}).map(name => join(folder, name));
}

/** The kernel as Debian ships it: that of the tests has no modules. */
async function recorderOf(cache: Cache, series: string): Promise<Recorder> {
  const name = series === '5.10' ? series : (await new DebianKernels(cache, [series]).newest(series)).release;
  const tree = await cache.keep(join('recorders', name), async folder => {
    const download = series === '5.10' ? downloadBullseye(folder) : unpack([`linux-image-${name}`], folder);
    await step(`downloading Linux ${name}`, () => download);
    for (const file of filesBelow(folder)) {
      if (file.includes('.ko') && !MODULES.test(file)) rmSync(file);
    }
  });
  const files = filesBelow(tree);
  const image = files.find(file => file.includes('/vmlinuz-')) ?? '';
  return {image, modules: files.filter(file => MODULES.test(file))};
}

/** A disk with nothing on it but the program, as the first process, and modules. */
async function makeDisk(modules: readonly string[], scratch: string): Promise<string> {
  const root = join(scratch, 'root');
  for (const folder of FOLDERS) mkdirSync(join(root, folder), {recursive: true});
  await run(['cp', ...modules, join(root, 'modules')]);
  await run(['sh', '-c', 'for file in *.xz; do [ ! -e "$file" ] || xz -d "$file"; done'], {
    cwd: join(root, 'modules'),
  });
  const flags = ['-static', '-O2', '-Wall', '-Wextra', '-Werror', '-Wno-missing-field-initializers'];
  await run(['gcc-12', ...flags, '-o', join(root, 'init'), SOURCE]);
  const image = join(scratch, 'root.img');
  await run(['mke2fs', '-q', '-t', 'ext4', '-O', '^has_journal', '-d', root, image, '32M']);
  return image;
}

/** `locks.txt` of Linux 6.1 is kept as `locks-6.1.txt`. */
function keptName(name: string, series: string): string {
  return name.replace(/^(locks|fdinfo|truth)/, `$1-${series}`);
}

/** Records all tables of a kernel into a folder. Throws when the machine did not come to its end. */
export async function recordTables(series: string, folder: string): Promise<void> {
  const cache = new Cache();
  const {image: kernel, modules} = await recorderOf(cache, series);
  const scratch = cache.scratch();
  const disk = await makeDisk(modules, scratch);
  const accelerator = await chooseAccelerator(cache, kernel);
  const console = cache.logPath(`record-${series}`);
  const machine = {kernel, disk, accelerator, console, parameters: [], limitSeconds: LIMIT_SECONDS};
  const files: [string, Buffer][] = [];
  const exit = await step(`Linux ${series} (${accelerator})`, () =>
    runMachine(machine, line => {
      const [name = '', hex = ''] = line.trim().split(' ');
      files.push([name, Buffer.from(hex, 'hex')]);
    }),
  );
  if (exit.status !== DONE) throw new Error(`QEMU ended with ${exit.status}: see ${console}`);
  // The last one, and made to be read: nothing was lost on the way.
  JSON.parse(files.find(([name]) => name === 'truth.json')?.[1].toString() ?? '');
  for (const [name, content] of files) writeFileSync(join(folder, keptName(name, series)), content);
  note(`${files.length} files in ${folder}`);
}
