import test from 'ava';
import {findPanic, firstLeaks, firstTrouble, tailOf, unexpectedTaint} from './kernel-log.js';

const QUIET = [
  '[    0.000000] Linux version 6.12.117 (gcc-12) #1 SMP',
  '[    0.513212] clocksource: tsc: mask: 0xffffffffffffffff max_cycles: 0x2a0',
  '[    2.913212] locksmith: loading out-of-tree module taints kernel.',
  '[    2.914212] locksmith: module verification failed: signature and/or required key missing - tainting kernel',
  '(node:71) Warning: BUG: this is what a program says',
  '[    9.513212] locksmith: loaded',
];

/** What the kernel's own checkers print, as it is printed. */
const TROUBLE = [
  'BUG: kernel NULL pointer dereference, address: 0000000000000008',
  'BUG: unable to handle page fault for address: ffffffffc0a0b0c0',
  'BUG: sleeping function called from invalid context at kernel/locking/mutex.c:585',
  'BUG: scheduling while atomic: node/71/0x00000002',
  'BUG: KASAN: slab-use-after-free in owner_show+0x4f/0xa0 [locksmith]',
  'BUG: KFENCE: use-after-free read in owner_show+0x4f/0xa0 [locksmith]',
  'BUG locksmith_lock (Tainted: G           OE     ): Poison overwritten',
  'BUG locksmith_lock (Tainted: G    B      OE     ): Objects remaining in locksmith_lock on __kmem_cache_shutdown()',
  'WARNING: CPU: 0 PID: 71 at fs/sysfs/group.c:131 internal_create_group+0x2f3/0x3a0',
  'WARNING: possible circular locking dependency detected',
  'WARNING: possible recursive locking detected',
  'WARNING: inconsistent lock state',
  'WARNING: suspicious RCU usage',
  'INFO: task rmmod:81 blocked for more than 20 seconds.',
  'INFO: trying to register non-static key.',
  'rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:',
  'watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [node:71]',
  'refcount_t: underflow; use-after-free.',
  'ODEBUG: free active (active state 0) object: 00000000a object type: work_struct hint: notify',
  "sysfs: cannot create duplicate filename '/locks/a'",
  "kobject: 'a' (00000000a): tried to init an initialized object, something is seriously wrong.",
  "kobject: 'a' (00000000a): does not have a release() function, it is broken and must be fixed.",
  'list_del corruption. prev->next should be ffff888, but was dead000',
  'general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] PREEMPT SMP',
  'Call Trace:',
];

test('a log of every day is no trouble, nor is what programs write between', t => {
  t.is(firstTrouble(QUIET.join('\n'), 10), undefined);
  t.is(firstTrouble('', 10), undefined);
});

for (const message of TROUBLE) {
  test(`trouble: ${message}`, t => {
    const log = [...QUIET, `[   12.345678] ${message}`, '[   12.345679] what follows', 'more'];
    t.is(firstTrouble(log.join('\r\n'), 2), `[   12.345678] ${message}\n[   12.345679] what follows`);
  });
}

test('a message is found behind the text of a program, and with the id of its caller', t => {
  t.truthy(firstTrouble('no newline yet[   12.345678] BUG: this one', 1));
  t.truthy(firstTrouble('[   12.345678][   T71] BUG: this one', 1));
});

test('leaks are told by kmemleak, in words of its own', t => {
  const told = '[   12.345678] kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)';
  const leak = [
    'unreferenced object 0xffff88800a0b0c00 (size 96):',
    '  comm "node", pid 71, jiffies 4294677000',
  ];
  t.is(firstTrouble([...QUIET, told, ...leak].join('\n'), 10), undefined, 'it is a result of its own');
  t.is(firstLeaks([...QUIET, told, ...leak].join('\r\n'), 10), leak.join('\n'));
  t.is(firstLeaks(QUIET.join('\n'), 10), undefined);
});

test('a panic has a reason and a past', t => {
  const panic = '[   20.000000] Kernel panic - not syncing: Fatal exception';
  t.is(findPanic(QUIET.join('\n')), undefined);
  t.deepEqual(findPanic([...QUIET, panic, 'after'].join('\r\n')), {
    reason: 'Fatal exception',
    before: QUIET.join('\n'),
  });
});

test('the tail is plain text', t => {
  const bell = String.fromCodePoint(7);
  const escape = String.fromCodePoint(27);
  t.is(tailOf(`first\r\n${escape}[31msecond${escape}[0m\r\n\tth${bell}ird\r\n\r\n`, 2), 'second\n\tthird');
});

test('a module from outside the kernel without a signature taints it, and nothing else may', t => {
  t.is(unexpectedTaint(0), '');
  t.is(unexpectedTaint(4096 | 8192), '');
  t.is(unexpectedTaint(4096 | 8192 | 512), 'W');
  t.is(unexpectedTaint(1 | 128 | 512), 'PDW');
});
