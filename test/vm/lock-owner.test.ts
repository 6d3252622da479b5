/** Who owns a bit, until when, and what may others do meanwhile? */
import {type FSWatcher, watch} from 'node:fs';
import test, {type ExecutionContext} from 'ava';
import {waitForExit} from '../../lib/os/process.js';
import {Actor} from './helpers/actor.js';
import {type Lock, makeLock, remove} from './helpers/locks.js';

/** An actor that has just set the bit. */
async function startOwner(t: ExecutionContext, lock: Lock): Promise<Actor> {
  const owner = await Actor.start(t);
  t.is(await owner.put(lock.at('conf_locked'), '1'), 'ok');
  t.is(lock.get('owner'), `${owner.pid} alive`);
  return owner;
}

/** The bit is set, and its owner dead. Gives the owner's pid. */
async function abandon(t: ExecutionContext, lock: Lock): Promise<number> {
  const owner = await startOwner(t, lock);
  await owner.kill();
  t.is(lock.get('owner'), `${owner.pid} dead`);
  return owner.pid;
}

/** What the kernel says to a process that is not the living owner. */
async function refuses(t: ExecutionContext, lock: Lock, stranger: Actor, because: string): Promise<void> {
  const before = lock.state;
  t.is(await stranger.put(lock.at('conf_locked'), '1'), 'EBUSY', because);
  t.is(await stranger.put(lock.at('conf_locked'), '0'), 'EBUSY', because);
  t.is(await stranger.put(lock.at('release'), before.epoch), 'EBUSY', because);
  t.is(await stranger.put(lock.at('handover'), before.epoch), 'EBUSY', because);
  t.deepEqual(lock.state, before, because);
}

test('whoever sets a clear bit owns it, at a new epoch', async t => {
  const lock = makeLock(t);
  const [owner, other] = await Promise.all([Actor.start(t), Actor.start(t)]);
  t.is(await owner.put(lock.at('conf_locked'), '1'), 'ok');
  const {epoch} = lock;
  t.true(epoch > 0);
  t.deepEqual(lock.state, {bit: '1', owner: `${owner.pid} alive`, epoch});
  await refuses(t, lock, other, 'another process');
  t.is(await owner.put(lock.at('conf_locked'), '1'), 'EBUSY', 'it has it already');

  t.is(await owner.put(lock.at('conf_locked'), '0'), 'ok');
  t.deepEqual(lock.state, {bit: '0', owner: 'none', epoch}, 'the epoch stays');
  t.is(await owner.put(lock.at('conf_locked'), '0'), 'EALREADY');
  t.is(await other.put(lock.at('conf_locked'), '1'), 'ok');
  t.true(lock.epoch > epoch);
  t.is(lock.get('owner'), `${other.pid} alive`);
});

test('a release clears the bit of that epoch only', async t => {
  const lock = makeLock(t);
  t.is(lock.put('release', 0), 'EALREADY');
  const owner = await startOwner(t, lock);
  const {epoch} = lock;
  for (const stale of [0, epoch - 1, epoch + 1, 2 ** 53]) {
    t.is(await owner.put(lock.at('release'), stale), 'ESTALE');
    t.is(await owner.put(lock.at('handover'), stale), 'ESTALE');
    t.is(lock.put('force', stale), 'ESTALE');
  }
  t.is(lock.epoch, epoch);
  t.is(await owner.put(lock.at('release'), epoch), 'ok');
  t.is(await owner.put(lock.at('release'), epoch), 'EALREADY');
  t.is(await owner.put(lock.at('handover'), epoch), 'EALREADY');
  t.deepEqual(lock.state, {bit: '0', owner: 'none', epoch});
});

test('the epoch of an earlier use is stale, whether the owner of the next one lives or not', async t => {
  const lock = makeLock(t);
  t.is(lock.put('conf_locked', '1'), 'ok');
  const {epoch} = lock;
  t.is(lock.put('release', epoch), 'ok');
  const owner = await startOwner(t, lock);
  for (const state of ['alive', 'dead']) {
    if (state === 'dead') await owner.kill();
    t.is(lock.get('owner'), `${owner.pid} ${state}`);
    for (const file of ['release', 'handover', 'force'])
      t.is(lock.put(file, epoch), 'ESTALE', `${file} ${state}`);
    t.is(lock.get('conf_locked'), '1');
  }
});

test('the bit of an owner that was killed stays set, and says so', async t => {
  const lock = makeLock(t);
  const pid = await abandon(t, lock);
  const {epoch} = lock;
  const other = await Actor.start(t);
  t.is(await other.put(lock.at('conf_locked'), '1'), 'EOWNERDEAD');
  t.deepEqual(lock.state, {bit: '1', owner: `${pid} dead`, epoch});
  t.is(await other.put(lock.at('conf_locked'), '0'), 'ok');
  t.deepEqual(lock.state, {bit: '0', owner: 'none', epoch});

  await abandon(t, lock);
  t.is(await other.put(lock.at('release'), epoch), 'ESTALE');
  t.is(await other.put(lock.at('release'), lock.epoch), 'ok');
});

test('a process that is stopped is alive', async t => {
  const lock = makeLock(t);
  const [owner, other] = [await startOwner(t, lock), await Actor.start(t)];
  owner.signal('SIGSTOP');
  await refuses(t, lock, other, 'stopped');
  t.is(lock.get('owner'), `${owner.pid} alive`);
});

test('a zombie is dead, also before it is collected', async t => {
  const lock = makeLock(t);
  const parent = await Actor.start(t);
  const {pid, outcome} = await parent.leaveZombie(lock.at('conf_locked'), '1');
  t.is(outcome, 'ok');
  for (const collected of [false, true]) {
    if (collected) await parent.ask('reap');
    t.is(lock.get('owner'), `${pid} dead`);
    t.is(lock.put('conf_locked', '1'), 'EOWNERDEAD');
  }
  t.is(lock.put('handover', lock.epoch), 'ok');
});

test('a process whose leader has ended lives until its last thread ends', async t => {
  const lock = makeLock(t);
  const [owner, other] = [await startOwner(t, lock), await Actor.start(t)];
  t.is(await owner.ask('end-leader'), '0');
  t.is(lock.get('owner'), `${owner.pid} alive`);
  await refuses(t, lock, other, 'a thread lives');
  t.is(await owner.put(lock.at('handover'), lock.epoch), 'ok', 'the thread acts for the process');
  const {woken} = await other.sleepOn(lock.at('owner'));
  owner.tell('exit');
  t.is(await woken, `${owner.pid} dead`);
  t.is(lock.put('conf_locked', '1'), 'EOWNERDEAD');
});

test('any thread acts for its process', async t => {
  const lock = makeLock(t);
  const owner = await Actor.start(t);
  t.is(await owner.putInThread(lock.at('conf_locked'), '1'), 'ok');
  t.is(lock.get('owner'), `${owner.pid} alive`, 'although the thread has ended');
  t.is(await owner.put(lock.at('handover'), lock.epoch), 'ok');
  t.is(await owner.putInThread(lock.at('release'), lock.epoch), 'ok');
});

test('a child is not the owner', async t => {
  const lock = makeLock(t);
  const owner = await startOwner(t, lock);
  await owner.fork();
  await refuses(t, lock, owner, 'the child');
  await owner.endChild();
  t.is(lock.get('owner'), `${owner.pid} alive`);
  t.is(await owner.put(lock.at('conf_locked'), '0'), 'ok');
});

test('a child outlives the owner, and does not keep its bit', async t => {
  const lock = makeLock(t);
  const parent = await Actor.start(t);
  await parent.fork();
  t.is(await parent.put(lock.at('conf_locked'), '1'), 'ok');
  await parent.fork();
  const owner = parent.childPid();
  process.kill(owner, 'SIGKILL');
  await parent.hearBack();
  t.is(lock.get('owner'), `${owner} dead`);
});

for (const [title, command] of [
  ['exec', 'exec'],
  ['exec by another thread than the leader', 'exec-in-thread'],
] as const)
  test(`${title} keeps the bit`, async t => {
    const lock = makeLock(t);
    const [owner, other] = [await startOwner(t, lock), await Actor.start(t)];
    t.is(await owner.ask(command), String(owner.pid));
    t.is(lock.get('owner'), `${owner.pid} alive`);
    await refuses(t, lock, other, 'the owner lives on');
    t.is(await owner.put(lock.at('handover'), lock.epoch), 'ok');
    const {woken} = await other.sleepOn(lock.at('owner'));
    await owner.kill();
    t.is(await woken, `${owner.pid} dead`);
  });

test('a process that gets the pid of a dead owner is not the owner', async t => {
  const lock = makeLock(t);
  const pid = await abandon(t, lock);
  const [next, other] = [await Actor.start(t), await Actor.start(t)];
  t.is(await next.fork(pid), pid);
  t.is(lock.get('owner'), `${pid} dead`);
  t.is(await next.put(lock.at('conf_locked'), '1'), 'EOWNERDEAD');
  t.is(await other.put(lock.at('conf_locked'), '1'), 'EOWNERDEAD');
  t.is(await other.put(lock.at('handover'), lock.epoch), 'ok');
  await refuses(t, lock, next, 'another one took it from the dead');
  t.is(await other.put(lock.at('conf_locked'), '0'), 'ok');
  t.is(await next.put(lock.at('conf_locked'), '1'), 'ok');
  t.is(lock.get('owner'), `${pid} alive`, 'now it is');
  // It would outlive its parent for a moment, and with it the bit that is to be removed.
  await next.endChild();
});

test('a process with the same number in another pid namespace is not the owner', async t => {
  const lock = makeLock(t);
  const [owner, inside] = [await startOwner(t, lock), await Actor.start(t)];
  await inside.enterNamespace();
  t.is(await inside.fork(owner.pid), owner.pid);
  await refuses(t, lock, inside, 'the same number');
  await owner.kill();
  t.is(lock.get('owner'), `${owner.pid} dead`);
});

test('in another pid namespace the owner has no number, and lives', async t => {
  const lock = makeLock(t);
  const [owner, inside] = [await startOwner(t, lock), await Actor.start(t)];
  await inside.enterNamespace();
  t.is(await inside.get(lock.at('owner')), '0 alive');
  await refuses(t, lock, inside, 'from inside');
  await owner.kill();
  t.is(await inside.get(lock.at('owner')), '0 dead');
  t.is(await inside.put(lock.at('conf_locked'), '1'), 'EOWNERDEAD');
  t.is(await inside.put(lock.at('handover'), lock.epoch), 'ok');
  t.is(await inside.get(lock.at('owner')), '1 alive');
});

test('an owner in a pid namespace has our number for us, and dies with its init', async t => {
  const lock = makeLock(t);
  const inside = await Actor.start(t);
  await inside.enterNamespace();
  const init = inside.childPid();
  const inner = await inside.fork(77);
  t.is(inner, 77);
  t.is(await inside.put(lock.at('conf_locked'), '1'), 'ok');
  t.is(await inside.get(lock.at('owner')), '77 alive');
  const [, outer] = /^(\d+) alive$/.exec(lock.get('owner')) ?? [];
  t.true(Number(outer) > 1 && Number(outer) !== init, outer);
  process.kill(init, 'SIGKILL');
  await inside.hearBack();
  t.is(lock.get('owner'), `${outer} dead`);
  t.is(lock.put('conf_locked', '1'), 'EOWNERDEAD');
});

test('a handover takes the bit from the dead, and leaves it to the living', async t => {
  const lock = makeLock(t);
  const dead = await abandon(t, lock);
  const {epoch} = lock;
  const [first, second] = [await Actor.start(t), await Actor.start(t)];
  t.is(await first.put(lock.at('handover'), epoch), 'ok');
  t.true(lock.epoch > epoch);
  t.deepEqual(lock.state, {bit: '1', owner: `${first.pid} alive`, epoch: lock.epoch});
  t.not(first.pid, dead);
  t.is(await second.put(lock.at('handover'), epoch), 'ESTALE', 'it comes too late');
  t.is(await second.put(lock.at('handover'), lock.epoch), 'EBUSY');
});

test('a handover to itself gives the owner a new epoch', async t => {
  const lock = makeLock(t);
  const owner = await startOwner(t, lock);
  const {epoch} = lock;
  t.is(await owner.put(lock.at('handover'), epoch), 'ok');
  t.true(lock.epoch > epoch);
  t.deepEqual(lock.state, {bit: '1', owner: `${owner.pid} alive`, epoch: lock.epoch});
  t.is(await owner.put(lock.at('release'), epoch), 'ESTALE');
  t.is(await owner.put(lock.at('release'), lock.epoch), 'ok');
});

test('force takes the bit from anybody, who is told so later', async t => {
  const lock = makeLock(t);
  const [owner, root] = [await startOwner(t, lock), await Actor.start(t)];
  const {epoch} = lock;
  t.is(await root.put(lock.at('force'), epoch), 'ok');
  t.deepEqual(lock.state, {bit: '1', owner: `${root.pid} alive`, epoch: lock.epoch});
  t.true(lock.epoch > epoch);
  t.is(await owner.put(lock.at('release'), epoch), 'ESTALE');
  t.is(await owner.put(lock.at('handover'), epoch), 'ESTALE');
  await refuses(t, lock, owner, 'it was the owner');
  t.is(await root.put(lock.at('release'), lock.epoch), 'ok');
});

test('force takes a clear bit, and that of the dead', async t => {
  const lock = makeLock(t);
  const root = await Actor.start(t);
  t.is(await root.put(lock.at('force'), 0), 'ok');
  t.is(lock.get('owner'), `${root.pid} alive`);
  await root.kill();
  const {epoch} = lock;
  t.is(lock.put('force', epoch), 'ok');
  t.is(lock.get('owner'), `${process.pid} alive`);
  t.true(lock.epoch > epoch);
});

/** What may happen to a bit, and how it is brought about. Gives the owner as it shows then. */
const EVENTS: Readonly<Record<string, (lock: Lock, actor: Actor) => Promise<string>>> = {
  set: async (lock, actor) => actor.put(lock.at('conf_locked'), '1'),
  handover: async (lock, actor) => actor.put(lock.at('handover'), lock.epoch),
  clear: async (lock, actor) => actor.put(lock.at('conf_locked'), '0'),
  'set again': async (lock, actor) => actor.put(lock.at('conf_locked'), '1'),
  release: async (lock, actor) => actor.put(lock.at('release'), lock.epoch),
  force: async (lock, actor) => actor.put(lock.at('force'), lock.epoch),
  death: async (_lock, actor) => actor.kill().then(() => 'ok'),
};

test('pollers of the bit and of the owner are woken by all that happens to a bit', async t => {
  const lock = makeLock(t);
  const [actor, ...pollers] = [await Actor.start(t), await Actor.start(t), await Actor.start(t)];
  for (const [event, act] of Object.entries(EVENTS)) {
    const files = ['conf_locked', 'owner'] as const;
    const asleep = await Promise.all(files.map(async (file, i) => pollers[i]?.sleepOn(lock.at(file))));
    t.is(await act(lock, actor), 'ok', event);
    const woken = await Promise.all(asleep.map(async poller => poller?.woken));
    const bit = event === 'clear' || event === 'release' ? '0' : '1';
    const owner = bit === '0' ? 'none' : `${actor.pid} ${event === 'death' ? 'dead' : 'alive'}`;
    t.deepEqual(woken, [bit, owner], event);
  }
});

test('a poller of a lock that is removed is woken, and told ENODEV', async t => {
  const lock = makeLock(t);
  const poller = await Actor.start(t);
  const {woken} = await poller.sleepOn(lock.at('owner'));
  t.is(remove(lock.name), 'ok');
  t.is(await woken, 'ENODEV');
});

/** Resolves when a watch has reported changes of all these files. */
async function changesOf(watcher: FSWatcher, ...files: readonly string[]): Promise<void> {
  const missing = new Set(files);
  return new Promise(resolve => {
    watcher.on('change', (_event, name) => {
      missing.delete(String(name));
      if (missing.size === 0) resolve();
    });
  });
}

test("inotify on a lock's directory sees the death of the owner", async t => {
  const lock = makeLock(t);
  const owner = await startOwner(t, lock);
  const watcher = watch(lock.directory);
  t.teardown(() => watcher.close());
  const seen = changesOf(watcher, 'owner', 'conf_locked');
  const exit = waitForExit(owner.pid);
  owner.signal('SIGKILL');
  await exit;
  await seen;
  t.is(lock.get('owner'), `${owner.pid} dead`);
});
