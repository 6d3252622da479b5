/** How are the tables in test/recorded made? By a kernel of Debian in a virtual machine, where only our program runs. */
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {chooseAccelerator} from './accelerator.js';
import {Cache} from './cache.js';
import {run} from './command.js';
import {DebianKernels} from './debian.js';
import {note, step} from './progress.js';
import {runMachine} from './qemu.js';

const project = fileURLToPath(new URL('../../../', import.meta.url));
const SOURCE = join(project, 'test/machine/record-tables.c');
const FOLDERS = 'dev proc file/mandatory inner'.split(' ');
const LIMIT_SECONDS = 120;
/** leave(0) in record-tables.c */
const DONE = 33;

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const BULLSEYE = ['debian bullseye', 'debian-security bullseye-security']
  .map(suite => `deb [signed-by=${KEYRING}] http://deb.debian.org/${suite} main\n`)
  .join('');

/** Linux 5.10 is Debian 11's, which no list of apt's on this system names: it gets lists of its own. */
async function bullseyeImage(cache: Cache): Promise<string> {
  const folder = await cache.keep('bullseye-kernel', async fresh => {
    const at = (path: string) => join(fresh, path);
    for (const path of ['lists/partial', 'archives/partial']) mkdirSync(at(path), {recursive: true});
    writeFileSync(at('sources.list'), BULLSEYE);
    const options = [
      `Dir::Etc::sourcelist=${at('sources.list')}`,
      'Dir::Etc::sourceparts=-',
      `Dir::State::lists=${at('lists')}`,
      `Dir::Cache=${fresh}`,
      'Acquire::Languages=none',
      'APT::Sandbox::User=root',
    ].flatMap(option => ['-o', option]);
    await run(['apt-get', '-qq', ...options, 'update']);
    const {stdout} = await run(['apt-cache', ...options, 'depends', 'linux-image-cloud-amd64']);
    const [, name = ''] = /Depends: (linux-image-\S+)/.exec(stdout) ?? [];
    await run(['apt-get', '-qq', ...options, 'download', name], {cwd: fresh});
    await run(
      [
        'sh',
        '-c',
        'dpkg-deb --fsys-tarfile linux-image-*.deb | tar -xO --wildcards "./boot/vmlinuz-*" >vmlinuz',
      ],
      {
        cwd: fresh,
      },
    );
    await run(['sh', '-c', 'rm -r lists archives linux-image-*.deb'], {cwd: fresh});
  });
  return join(folder, 'vmlinuz');
}

async function imageOf(cache: Cache, series: string): Promise<string> {
  if (series === '5.10') return step('getting Linux 5.10', () => bullseyeImage(cache));
  return (await new DebianKernels(cache, [series]).newest(series)).image;
}

/** A disk with nothing on it but the program, as the first process. */
async function makeDisk(scratch: string): Promise<string> {
  const root = join(scratch, 'root');
  for (const folder of FOLDERS) mkdirSync(join(root, folder), {recursive: true});
  const flags = ['-static', '-O2', '-Wall', '-Wextra', '-Werror', '-Wno-missing-field-initializers'];
  await run(['gcc-12', ...flags, '-o', join(root, 'init'), SOURCE]);
  const image = join(scratch, 'root.img');
  await run(['mke2fs', '-q', '-t', 'ext4', '-O', '^has_journal', '-d', root, image, '16M']);
  return image;
}

/** `locks.txt` of Linux 6.1 is kept as `locks-6.1.txt`. */
function keptName(name: string, series: string): string {
  return name.replace(/^(locks|fdinfo|truth)/, `$1-${series}`);
}

/** Records all tables of a kernel into a folder. Throws when the machine did not come to its end. */
export async function recordTables(series: string, folder: string): Promise<void> {
  const cache = new Cache();
  const kernel = await imageOf(cache, series);
  const scratch = cache.scratch();
  const disk = await makeDisk(scratch);
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
