/** Files that are not where, what or named as they seem: other file systems, other names, other types, a mount that hangs. */
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import {join} from 'node:path';
import {inFlight} from './hidden.js';
import {mount, newDirectory, newFile, unopened} from './places.js';
import {BTRFS, FUSE, OVERLAY, ROOT, type Scene, type Situation} from './situation.js';
import {cast, sh, type Stage} from './stage.js';

/** A scene that is a file and a path to it. */
interface FileScene extends Scene {
  readonly file: string;
}

async function heldAt(stage: Stage, file: string, kind = 'flock', mode = 'exclusive'): Promise<FileScene> {
  const [pid] = await cast(stage, 'lock', file, kind, mode);
  return {file, truth: {state: 'ALIVE', holders: [pid]}};
}

/** The link under which a process has a file open. */
function linkTo(pid: number, file: string): string {
  const directory = `/proc/${pid}/fd`;
  const fd = readdirSync(directory).find(name => readlinkSync(join(directory, name)) === file);
  if (fd === undefined) throw new Error(`pid ${pid} has not opened ${file}`);
  return join(directory, fd);
}

/** A file that was in the lower directory before it was mounted. */
function newOverlayFile(stage: Stage): string {
  const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map(name =>
    newDirectory(stage, name),
  ) as [string, string, string, string];
  newFile(stage, 'settings.conf', lower);
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
  mount(stage, '-t', 'overlay', 'locksmith-test', '-o', options, merged);
  return join(merged, 'settings.conf');
}

/** Locked by one name, looked for under another. */
async function renamedTo(stage: Stage, name: string | Buffer): Promise<Scene> {
  const {file, truth} = await heldAt(stage, newFile(stage));
  const target = Buffer.concat([Buffer.from(`${stage.directory}/`), Buffer.from(name)]);
  renameSync(file, target);
  return {file: typeof name === 'string' ? target.toString() : target, truth};
}

const FILE_SYSTEMS: Situation[] = [
  {
    title: 'a file on overlayfs that is still the lower one',
    why: 'the table knows the inode of the overlay, not the one below',
    needs: [ROOT, OVERLAY],
    make: stage => heldAt(stage, newOverlayFile(stage), 'flock', 'shared'),
  },
  {
    title: 'a file on overlayfs that is copied up while it is locked',
    why: 'its content moves to another inode, its lock does not',
    needs: [ROOT, OVERLAY],
    async make(stage) {
      const file = newOverlayFile(stage);
      const scene = await heldAt(stage, file, 'flock', 'shared');
      appendFileSync(file, 'gain = 9\n');
      return scene;
    },
  },
  {
    title: 'a file on overlayfs that was copied up',
    why: 'stat(2) and the table may name different devices',
    needs: [ROOT, OVERLAY],
    async make(stage) {
      const file = newOverlayFile(stage);
      appendFileSync(file, 'gain = 9\n');
      return heldAt(stage, file);
    },
  },
  {
    title: 'a file that is locked through a bind mount',
    why: 'two paths, two mounts, one inode',
    needs: [ROOT],
    async make(stage) {
      const file = newFile(stage, 'settings.conf', newDirectory(stage, 'here'));
      const there = mount(stage, '--bind', join(stage.directory, 'here'), newDirectory(stage, 'there'));
      const {truth} = await heldAt(stage, join(there, 'settings.conf'));
      return {file, truth};
    },
  },
  {
    title: 'a file on tmpfs',
    why: 'a device without a number of its own',
    needs: [ROOT],
    async make(stage) {
      const directory = mount(stage, '-t', 'tmpfs', 'locksmith-test', newDirectory(stage, 'tmpfs'));
      return heldAt(stage, newFile(stage, 'settings.conf', directory));
    },
  },
  {
    title: 'a file in a subvolume of btrfs',
    why: 'stat(2) names a device that the table does not know',
    needs: [ROOT, BTRFS],
    async make(stage) {
      const image = join(stage.directory, 'image');
      writeFileSync(image, '');
      truncateSync(image, 128 << 20);
      sh('mkfs.btrfs', '--quiet', image);
      const directory = mount(stage, '-t', 'btrfs', '-o', 'loop', image, newDirectory(stage, 'btrfs'));
      sh('btrfs', '--quiet', 'subvolume', 'create', join(directory, 'subvolume'));
      return heldAt(stage, newFile(stage, 'settings.conf', join(directory, 'subvolume')));
    },
  },
  {
    title: 'a file behind a mount that covers it, named by /proc/PID/fd/N',
    why: 'no path leads to it any more',
    needs: [ROOT],
    async make(stage) {
      const directory = newDirectory(stage, 'covered');
      const file = newFile(stage, 'settings.conf', directory);
      const [pid] = await cast(stage, 'lock', file, 'flock', 'exclusive');
      const link = linkTo(pid, file);
      mount(stage, '-t', 'tmpfs', 'locksmith-test', directory);
      newFile(stage, 'settings.conf', directory);
      return {file: link, truth: {state: 'ALIVE', holders: [pid]}};
    },
  },
  {
    title: 'a new file on a mount that covers a locked one',
    why: 'the old path, another file: nobody holds it',
    needs: [ROOT],
    async make(stage) {
      const directory = newDirectory(stage, 'covered');
      const file = newFile(stage, 'settings.conf', directory);
      const [pid] = await cast(stage, 'lock', file, 'flock', 'exclusive');
      mount(stage, '-t', 'tmpfs', 'locksmith-test', directory);
      newFile(stage, 'settings.conf', directory);
      return {file, truth: {state: 'FREE', holders: []}, extras: {'who holds the covered one': pid}};
    },
  },
];

const NAMES: Situation[] = [
  {
    title: 'a deleted file, named by /proc/PID/fd/N',
    why: 'it has no name; the link ends in " (deleted)" and leads to it all the same',
    async make(stage) {
      const file = newFile(stage);
      const [pid] = await cast(stage, 'lock', file, 'flock', 'exclusive');
      const link = linkTo(pid, file);
      rmSync(file);
      return {file: link, truth: {state: 'ALIVE', holders: [pid]}};
    },
  },
  {
    title: 'a file that was renamed',
    why: 'locks follow the inode, not the name',
    make: stage => renamedTo(stage, 'renamed.conf'),
  },
  {
    title: 'a file that was replaced by a rename',
    why: 'the name leads to a new inode, the lock is on the old one',
    async make(stage) {
      const file = newFile(stage);
      const [pid] = await cast(stage, 'lock', file, 'flock', 'exclusive');
      renameSync(newFile(stage, 'next.conf'), file);
      return {file, truth: {state: 'FREE', holders: []}, extras: {'who holds the old one': pid}};
    },
  },
  {
    title: 'a name with a newline',
    why: 'tools that read /proc by lines see two',
    make: stage => renamedTo(stage, 'two\nlines.conf'),
  },
  {
    title: 'a name that ends in " (deleted)"',
    why: 'it looks like what the kernel says of files that are gone',
    make: stage => renamedTo(stage, 'settings.conf (deleted)'),
  },
  {
    title: 'a name that is not UTF-8',
    why: 'a string of JavaScript can not say it',
    make: stage => renamedTo(stage, Buffer.from([0x73, 0xff, 0xfe, 0x2e, 0x63])),
  },
];

const TYPES: Situation[] = [
  {
    title: 'a directory',
    why: 'flock works on it, fcntl does not',
    async make(stage) {
      const directory = newDirectory(stage, 'settings.d');
      return heldAt(stage, directory);
    },
  },
  {
    title: 'a FIFO with a flock',
    why: 'who opens it to look may wake whoever waits for the other end',
    async make(stage) {
      const file = join(stage.directory, 'fifo');
      sh('mkfifo', file);
      return unopened(stage, await heldAt(stage, file));
    },
  },
  {
    title: 'a FIFO that nobody has locked',
    why: 'that it is free could only be proven by opening it',
    async make(stage) {
      const file = join(stage.directory, 'fifo');
      sh('mkfifo', file);
      return unopened(stage, {file, truth: {state: 'UNKNOWN', holders: [], complete: false}});
    },
  },
];

/** The answer must come while the file system hangs; when it goes on, both processes that wait for it end. */
function whileHung(scene: Scene, stuck: readonly number[]): Scene {
  return {
    ...scene,
    apart: true,
    harm: async () =>
      stuck.every(pid => existsSync(`/proc/${pid}`)) ? undefined : 'the file system did not hang any more',
  };
}

const HUNG: Situation[] = [
  ...(['flock', 'ofd'] as const).map(
    (kind): Situation => ({
      title: `${kind === 'ofd' ? 'an OFD lock' : 'a flock'} of a process that waits for a file system that hangs`,
      why: 'stat(2) through /proc/PID/fd waits with it, for ever',
      needs: [ROOT, FUSE],
      async make(stage) {
        const file = newFile(stage);
        const stuck = await cast(stage, 'fuse', newDirectory(stage, 'hung'), file, kind, 'exclusive');
        return whileHung({file, truth: {state: 'ALIVE', holders: [stuck[0]]}}, stuck);
      },
    }),
  ),
  {
    title: 'an OFD lock while a file system elsewhere hangs',
    why: 'whoever looks through all processes meets those that wait in open(2), and for a page',
    needs: [ROOT, FUSE],
    async make(stage) {
      const stuck = await cast(stage, 'fuse', newDirectory(stage, 'hung'));
      return whileHung(await heldAt(stage, newFile(stage), 'ofd'), stuck);
    },
  },
  {
    title: 'a flock in the queue of a socket while a file system elsewhere hangs',
    why: 'every descriptor and every mapping of every process has to be looked at',
    needs: [ROOT, FUSE],
    async make(stage) {
      const stuck = await cast(stage, 'fuse', newDirectory(stage, 'hung'));
      return whileHung(await inFlight(stage, newFile(stage), 'flock', 'orphaned'), stuck);
    },
  },
  {
    title: 'a file that nobody has locked while a file system elsewhere hangs',
    why: 'the same, and nothing to find',
    needs: [ROOT, FUSE],
    async make(stage) {
      const stuck = await cast(stage, 'fuse', newDirectory(stage, 'hung'));
      return whileHung({file: newFile(stage), truth: {state: 'FREE', holders: []}}, stuck);
    },
  },
];

export const FILES: readonly Situation[] = [...FILE_SYSTEMS, ...NAMES, ...TYPES, ...HUNG];
