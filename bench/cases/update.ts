/** (h) What does it cost to replace the content of a configuration, so that a crash leaves the old one or the new one? */
import {mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {openConfigLock} from '../../lib/index.js';
import {deviceOf, readMounts} from '../../lib/os/mounts.js';
import {system} from '../../lib/os/system.js';
import type {Case, Effort, Figure} from '../measure/figure.js';
import {type Operations, promise, sync, rootsBeside} from '../measure/operation.js';
import {inC, inNode, sideBySide, type Subject} from '../measure/side-by-side.js';
import {peer} from '../peers.js';

/** Gives contents as long as that of the file, each of which differs from the one before. */
function contentsFor(path: string): () => Buffer {
  const content = Buffer.alloc(statSync(path).size, 'gain = 7\n');
  let count = 0;
  return () => {
    content.writeUInt32BE(count++);
    return content;
  };
}

export const operations: Operations = {
  async 'locksmith update'(path) {
    const roots = rootsBeside(path);
    const config = await openConfigLock(path, roots);
    const next = contentsFor(path);
    return promise(() => config.update(next));
  },
  'write-file-atomic, promise'(path) {
    const writeFileAtomic = peer('write-file-atomic');
    const next = contentsFor(path);
    return promise(() => writeFileAtomic(path, next()));
  },
  'write-file-atomic, sync'(path) {
    const writeFileAtomic = peer('write-file-atomic');
    const next = contentsFor(path);
    return sync(() => writeFileAtomic.sync(path, next()));
  },
};

const C = 'C';
const SIZES = {'1 KB': 1_000, '1 MB': 1_000_000};
/** Where nothing can be made durable. */
const IN_MEMORY = new Set(['tmpfs', 'ramfs']);

/** The type of the file system that a directory is on. */
function fileSystemOf(directory: string): string {
  const {major, minor} = deviceOf(statSync(directory, {bigint: true}).dev);
  const mounts = [...readMounts(system()).values()];
  return mounts.find(mount => mount.major === major && mount.minor === minor)?.type ?? 'unknown';
}

/** The first of them where fsync has something to do. */
function durable(directories: readonly string[]): string {
  const found = directories.find(directory => !IN_MEMORY.has(fileSystemOf(directory)));
  if (found === undefined) throw new Error(`nothing but memory: ${directories.join(', ')}`);
  return found;
}

/** With a file of that size in place before it starts. */
function given(size: number, subject: Subject): Subject {
  return {
    name: subject.name,
    async start(path) {
      writeFileSync(path, Buffer.alloc(size, 'gain = 1\n'));
      return subject.start(path);
    },
  };
}

async function measure(directory: string, name: string, size: number, effort: Effort): Promise<Figure> {
  const all = [inC(C, 'replace', '-'), ...Object.keys(operations).map(each => inNode(import.meta.url, each))];
  const measured = await sideBySide(
    directory,
    all.map(subject => given(size, subject)),
    effort,
  );
  return {
    case: 'h',
    title: `update a configuration of ${name}`,
    unit: 'ns',
    yardstick: C,
    note: `on ${fileSystemOf(directory)}`,
    ...measured,
  };
}

export const update: Case = {
  letter: 'h',
  title: 'update a configuration',
  async run(directory, effort) {
    const base = durable([directory, '/var/tmp', process.cwd()]);
    const place = mkdtempSync(join(base, 'locksmith-bench-h-'));
    try {
      const figures: Figure[] = [];
      for (const [name, size] of Object.entries(SIZES)) {
        mkdirSync(join(place, name));
        figures.push(await measure(join(place, name), name, size, effort));
      }
      return figures;
    } finally {
      rmSync(place, {recursive: true, force: true});
    }
  },
};
