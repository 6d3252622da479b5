/** A program that does one operation so and so often, and nothing else: for counting its instructions. */
import {native} from '../../lib/os/native.js';
import type {Operations} from './operation.js';

// valgrind 3.19 knows no pidfd_open(2). A process asks for its own identity once, so this changes nothing of what is counted.
Object.assign(native, {pidfdOpen: () => native.open('/dev/null', 0, 0), pidfdInode: () => 1n});

const [module = '', name = '', path = '', times = ''] = process.argv.slice(2);
const {operations} = (await import(module)) as {operations: Operations};
const operation = await operations[name]?.(path);
if (!operation) throw new Error(`${module} has no operation "${name}"`);
for (let left = Number(times); left > 0; left--) {
  const done = operation.run();
  if (operation.kind === 'promise') await done;
}
process.exit();
