import test from 'ava';
import {Outcome} from './outcome.js';
import {TapReport} from './tap.js';

const GOOD = [
  '@boot 6.12.117',
  'TAP version 13',
  'ok 1 - boot › the module is loaded',
  '1..1',
  '@ava 0',
  '@unload ok',
  '@taint 12288',
  '@end 0',
];

const LEFT = {status: 33, overdue: false, complaints: ''};

/** The results of a run, and for those that failed the message. */
function results(lines: readonly string[], exit = LEFT, console = '') {
  const written: string[] = [];
  const outcome = new Outcome(new TapReport(line => written.push(line)));
  for (const line of lines) outcome.take(line);
  outcome.judge({exit, console, consolePath: '/cache/console.log'});
  return written.flatMap((line, index): (string | Record<string, string>)[] => {
    const [, status, title = ''] = /^(ok|not ok) \d+ - vm › (.*)/.exec(line) ?? [];
    if (status === undefined) return [];
    return status === 'ok' ? [title] : [{[title]: written[index + 2]?.trim() ?? ''}];
  });
}

const ALL = [
  'boot › the module is loaded',
  'the machine runs to its end',
  'the kernel log has no warning',
  'the module unloads when all is done',
  'the kernel is not tainted',
];

test('a good run passes the results on and adds its own', t => {
  t.deepEqual(results(GOOD), ALL);
});

test('two runs are one result', t => {
  const second = ['TAP version 13', 'ok 1 - service › it starts', '1..1', '@ava 0'];
  t.deepEqual(results([...GOOD.slice(0, 5), ...second, ...GOOD.slice(5)]), [
    ...ALL.slice(0, 1),
    'service › it starts',
    ...ALL.slice(1),
  ]);
});

test('a failed test is told once', t => {
  const failed = GOOD.map(line => line.replace(/^ok/, 'not ok').replace('@ava 0', '@ava 1'));
  t.deepEqual(results(failed, {...LEFT, status: 35}).slice(1), ALL.slice(1));
});

const broken: [string, string[], typeof LEFT, string, string][] = [
  [
    'a machine that never starts',
    [],
    {...LEFT, status: 1},
    '',
    'the machine did not start: QEMU ended with 1',
  ],
  [
    'QEMU that can not even begin',
    [],
    {...LEFT, status: 1, complaints: 'Could not open disk'},
    '',
    'the machine did not start: Could not open disk',
  ],
  ['a module that does not load', ['@boot 6', '@problem insmod: bad', '@end 1'], LEFT, '', 'insmod: bad'],
  [
    'a hang',
    GOOD.slice(0, 3),
    {...LEFT, status: 124, overdue: true},
    '',
    'the machine hung: nothing ended it before the time was up',
  ],
  [
    'a panic',
    GOOD.slice(0, 3),
    {...LEFT, status: 0},
    '[    9.000001] Kernel panic - not syncing: sysrq triggered crash\n',
    'the kernel panicked: sysrq triggered crash',
  ],
  [
    'an end in the middle',
    GOOD.slice(0, 3),
    {...LEFT, status: 0},
    '',
    'the machine ended early: QEMU ended with 0',
  ],
  [
    'results that break off',
    GOOD.filter(line => line !== '1..1'),
    LEFT,
    '',
    'the results break off: ava crashed (it does so when a test takes too long)',
  ],
  [
    'results of a second run that break off',
    [...GOOD.slice(0, 5), 'ok 1 - service › it starts', ...GOOD.slice(4)],
    LEFT,
    '',
    'the results break off: ava crashed (it does so when a test takes too long)',
  ],
  [
    'no run at all',
    GOOD.filter(line => line.startsWith('@') && line !== '@ava 0'),
    LEFT,
    '',
    'no test was run',
  ],
  [
    'ava that fails without a failed test',
    GOOD.map(line => line.replace('@ava 0', '@ava 1')),
    {...LEFT, status: 35},
    '',
    'ava failed, but no test did',
  ],
];

for (const [what, lines, exit, console, message] of broken) {
  test(`told as a failure: ${what}`, t => {
    t.deepEqual(
      results(lines, exit, console).filter(result => typeof result !== 'string'),
      [{'the machine runs to its end': `message: ${JSON.stringify(message)}`}],
    );
  });
}

test('what the kernel said before it panicked is told as well', t => {
  const console = [
    '[    9.000001] BUG: kernel NULL pointer dereference, address: 0000000000000008',
    '[    9.000002] Kernel panic - not syncing: Fatal exception',
  ];
  t.deepEqual(results(GOOD.slice(0, 2), {...LEFT, status: 0}, console.join('\n')), [
    {'the machine runs to its end': 'message: "the kernel panicked: Fatal exception"'},
    {'the kernel log has no warning': 'message: "the kernel complained"'},
  ]);
});

test('a module that stays, a taint and a warning are failures of their own', t => {
  const lines = GOOD.map(line =>
    line
      .replace('@unload ok', "@unload rmmod: can't unload 'locksmith'")
      .replace('@taint 12288', '@taint 12800'),
  );
  t.deepEqual(results(lines, {...LEFT, status: 35}, '[    9.000001] WARNING: CPU: 0 PID: 71 at lib/a.c:1'), [
    ...ALL.slice(0, 2),
    {'the kernel log has no warning': 'message: "the kernel complained"'},
    {'the module unloads when all is done': `message: "rmmod: can't unload 'locksmith'"`},
    {'the kernel is not tainted': 'message: "taint W, see tainted-kernels.rst of the kernel"'},
  ]);
});

test('a debug kernel tells of memory that is lost', t => {
  const leak = 'unreferenced object 0xffff88800a0b0c00 (size 96):';
  t.deepEqual(results([...GOOD, '@leaks 0']), [...ALL, 'no memory is lost']);
  t.deepEqual(results([...GOOD, '@leaks 1'], LEFT, leak).slice(ALL.length), [
    {'no memory is lost': 'message: "objects that nothing points to any more: 1"'},
  ]);
});
