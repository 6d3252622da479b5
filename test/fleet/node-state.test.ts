/** Is what a node knows of roll-outs there after a restart, and told when it is not what was written? */
import {chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, truncateSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {epochsSeen, type NodeRecord, NodeState} from '../../lib/fleet/node-state.js';
import {sha256} from '../../lib/lock/update.js';
import {system} from '../../lib/os/system.js';
import {scratch} from '../helpers/scratch.js';

const LOCK = 'aim_lock_config';
const CONTENT = Buffer.from('gain = 9\n');

function place(t: ExecutionContext) {
  const {roots} = scratch(t);
  mkdirSync(roots.state);
  return {roots, state: new NodeState(system(), roots, LOCK), file: (name: string) => join(roots.state, 'fleet', name)};
}

const record: NodeRecord = {
  v: 1,
  lock: LOCK,
  seen: {epoch: 7, rollout: 'r7'},
  change: {rollout: 'r7', epoch: 7, sha256: sha256(CONTENT), before: null, phase: 'applied', health: 'passed'},
};

test('a node that has seen nothing says so', t => {
  const {state, roots} = place(t);
  t.deepEqual(state.read(), {v: 1, lock: LOCK, seen: {epoch: 0, rollout: ''}});
  t.deepEqual(epochsSeen(system(), roots), {});
});

test('what was written is read again, by whoever comes later', async t => {
  const {state, roots} = place(t);
  await state.write(record);
  t.deepEqual(new NodeState(system(), roots, LOCK).read(), record);
  t.deepEqual(epochsSeen(system(), roots), {[LOCK]: 7});
  t.deepEqual(readdirSync(state.directory), [`${LOCK}.json`]);
  t.is(statSync(state.directory).mode & 0o777, 0o700);
});

test('a record that is torn, or of another lock, is told and never guessed', async t => {
  const {state, roots, file} = place(t);
  await state.write(record);
  const whole = readFileSync(file(`${LOCK}.json`));
  for (let length = 0; length < whole.length - 1; length += 7) {
    truncateSync(file(`${LOCK}.json`), length);
    t.throws(() => state.read(), {code: 'ERR_NODE_STATE', message: /torn/}, `${length}`);
    writeFileSync(file(`${LOCK}.json`), whole);
  }
  writeFileSync(file(`${LOCK}.json`), whole.toString().replace('"epoch":7', '"epoch":6'));
  t.throws(() => state.read(), {code: 'ERR_NODE_STATE', message: /checksum/});
  writeFileSync(file('other.json'), whole);
  t.throws(() => new NodeState(system(), roots, 'other').read(), {code: 'ERR_NODE_STATE', message: /is about the lock/});
  t.deepEqual(epochsSeen(system(), roots), {});
});

test('a file that others may write, or that is a link, is not believed', async t => {
  const {state, file} = place(t);
  await state.write(record);
  chmodSync(file(`${LOCK}.json`), 0o666);
  t.throws(() => state.read(), {code: 'ERR_NODE_STATE', message: /others may write/});
  symlinkSync(file(`${LOCK}.json`), file('link.json'));
  t.throws(() => new NodeState(system(), {...place(t).roots, state: join(state.directory, '..')}, 'link').read(), {
    code: 'ERR_NODE_STATE',
    message: /symbolic link/,
  });
  chmodSync(state.directory, 0o777);
  t.throws(() => state.read(), {code: 'ERR_ROOT_UNSAFE'});
});

test('a content is only given out under the hash that it has', async t => {
  const {state} = place(t);
  t.throws(() => state.readNext(sha256(CONTENT), 100), {code: 'ERR_NODE_STATE', message: /not there/});
  await state.keepNext(CONTENT);
  await state.keepBefore(Buffer.from('gain = 7\n'));
  t.deepEqual(state.readNext(sha256(CONTENT), 100), CONTENT);
  t.throws(() => state.readBefore(sha256(CONTENT), 100), {code: 'ERR_NODE_STATE', message: /SHA-256/});
  t.throws(() => state.readNext(sha256(CONTENT), 3), {code: 'ERR_NODE_STATE', message: /bytes/});
});
