/** A program that does one operation so and so often, and nothing else: for counting its instructions. */
import type {Operations} from './operation.js';

const [module = '', name = '', path = '', times = ''] = process.argv.slice(2);
const {operations} = (await import(module)) as {operations: Operations};
const operation = await operations[name]?.(path);
if (!operation) throw new Error(`${module} has no operation "${name}"`);
for (let left = Number(times); left > 0; left--) {
  const done = operation.run();
  if (operation.kind === 'promise') await done;
}
process.exit();
