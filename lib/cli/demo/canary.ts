/** How does the next content come to all three nodes together? As shadows: each node checks its own lock, all validate, then all apply. */
import {readFile} from 'node:fs/promises';
import type {UpdateResult} from '../../lock/update.js';
import {expectSame} from './expect.js';
import {type Node, openOn} from './node.js';

/** Resolves for everybody when the last of `count` has come. */
function meetingPoint(count: number): () => Promise<void> {
  let missing = count;
  let open: () => void;
  const opened = new Promise<void>(resolve => (open = resolve));
  return () => {
    if (--missing === 0) open();
    return opened;
  };
}

async function applyOn(node: Node, content: string, everybody: () => Promise<void>): Promise<UpdateResult> {
  const config = await openOn(node);
  expectSame(`the lock of ${node.name} before the canary`, (await config.examine()).state, 'FREE');
  const before = await readFile(node.file, 'utf8');
  return config.update(() => content, {
    purpose: 'canary',
    async validate(shadow) {
      expectSame(`the shadow of ${node.name}`, await readFile(shadow, 'utf8'), content);
      expectSame(
        `the file of ${node.name} while its shadow is validated`,
        await readFile(node.file, 'utf8'),
        before,
      );
      await everybody();
    },
  });
}

/** Applies a content on all nodes, none before all have validated it. */
export async function canary(nodes: readonly Node[], content: string): Promise<UpdateResult[]> {
  const everybody = meetingPoint(nodes.length);
  return Promise.all(nodes.map(node => applyOn(node, content, everybody)));
}
