/** Where does the state of a lock live, and does its bit stay where it was made? */
import {mkdirSync, readlinkSync, symlinkSync, unlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {bitOf, checkName, lockPaths, openLayout, resolveRoots} from '../../lib/lock/layout.js';
import {type System, system} from '../../lib/os/system.js';
import {type Scratch, scratch} from '../helpers/scratch.js';

/** A machine with or without the kernel module, as far as directories show it. */
function machine(t: ExecutionContext, loaded: boolean, changes: Partial<System> = {}): System {
  const sysRoot = join(scratch(t).directory, 'sys');
  mkdirSync(join(sysRoot, 'locks'), {recursive: true});
  if (loaded) writeFileSync(join(sysRoot, 'locks/create'), '');
  return {...system(), sysRoot, env: {}, uid: 0, ...changes};
}

test('where the module is loaded, the system’s own RUN goes with the kernel’s bits', t => {
  const loaded = machine(t, true);
  t.like(resolveRoots(loaded), {run: '/run/locksmith', bits: join(loaded.sysRoot, 'locks')});
  t.is(resolveRoots(loaded, {run: '/run/locksmith'}).bits, join(loaded.sysRoot, 'locks'));
  t.is(resolveRoots(machine(t, false)).bits, '/run/locksmith/bits');
});

test('a RUN of one’s own has bits of its own, module or not', t => {
  t.is(resolveRoots(machine(t, true), {run: '/tmp/mine'}).bits, '/tmp/mine/bits');
  t.is(resolveRoots(machine(t, true, {env: {LOCKSMITH_RUN: '/tmp/mine'}})).bits, '/tmp/mine/bits');
  const user = {uid: 1000, env: {XDG_RUNTIME_DIR: '/run/user/1000'}};
  t.is(resolveRoots(machine(t, true, user)).bits, '/run/user/1000/locksmith/bits');
});

test('bits that are named are used as they are', t => {
  t.is(resolveRoots(machine(t, true), {bits: '/tmp/bits'}).bits, '/tmp/bits');
  t.is(resolveRoots(machine(t, false, {env: {LOCKSMITH_BITS: '/sys/locks'}})).bits, '/sys/locks');
});

function open({roots, file}: Scratch, on: System, bits = roots.bits) {
  return openLayout(on, {...roots, bits}, 'aim_lock_config', file);
}

test('bits of a module that is not loaded are refused, and nothing is made', async t => {
  const place = scratch(t);
  const on = machine(t, false, {uid: system().uid});
  await t.throwsAsync(open(place, on, join(on.sysRoot, 'locks')), {code: 'ERR_MODULE_MISSING'});
  t.throws(() => readlinkSync(lockPaths(place.roots, 'aim_lock_config').bit), {code: 'ENOENT'});
});

test('a lock keeps the bit that it was made with, whatever the roots say later', async t => {
  const place = scratch(t);
  const paths = await open(place, system());
  const made = join(place.roots.bits, 'aim_lock_config');
  t.is(readlinkSync(paths.bit), made);
  const later = {...place.roots, bits: join(place.directory, 'elsewhere')};
  t.is(bitOf(later, paths).directory, made);
  t.is(bitOf(later, paths).kind, 'soft');
});

test('a lock whose bit was in the kernel says so when the module is not loaded any more', async t => {
  const place = scratch(t);
  const on = machine(t, false, {uid: system().uid});
  const paths = await open(place, on);
  unlinkSync(paths.bit);
  symlinkSync(join(on.sysRoot, 'locks/aim_lock_config'), paths.bit);
  await t.throwsAsync(open(place, on), {code: 'ERR_MODULE_MISSING', message: /sys\/locks\/aim_lock_config/});
});

for (const name of ['', '.', '..', 'a/b', '.hidden', 'a..b', 'x'.repeat(64), 'create', 'remove', 'ä', 'a\0'])
  test(`${JSON.stringify(name).slice(0, 20)} is no name of a lock`, t => {
    t.throws(() => checkName(name), {code: 'ERR_NAME_INVALID'});
  });

test('a name has up to 63 characters', t => {
  t.is(checkName('x'.repeat(63)), 'x'.repeat(63));
});
