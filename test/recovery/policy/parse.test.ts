/** Is every fault of a policy file found, with its line, its column and its key? */
import test from 'ava';
import {parseText} from '../../../lib/recovery/policy/parse.js';

/** As `problemText` shows them, without the file. */
function faults(text: string): string[] {
  return parseText('aim.yaml', text).problems.map(
    ({line, column, key, what}) => `${line}:${column} ${key ?? '-'} ${what}`,
  );
}

/** What stands below a lock; the first line of it is line 3. */
function inLock(...lines: string[]): string {
  return ['locks:', '  aim:', ...lines.map(line => `    ${line}`)].join('\n');
}

test('everything that can be said is understood', t => {
  const {entries, problems} = parseText(
    'aim.yaml',
    `# of the whole site
locks:
  aim_lock_config:
    file: /etc/aim/aim_lock_config.conf
    validate: aimctl check "$1"
    hold: 1.5m
    recover: automatic
    break-glass: [root, alice, "@ops"]
    canary: 3
    quiesce:
      - freezer: /sys/fs/cgroup/system.slice/aim.service
      - unit: aim-orchestrator.service
        how: freeze
      - stop: aimctl pause
        resume: aimctl resume
        within: 10s
  aim_*: {hold: 500ms}
`,
  );
  t.deepEqual(problems, []);
  t.deepEqual(
    entries.map(({name, settings}) => ({name, settings})),
    [
      {
        name: 'aim_lock_config',
        settings: {
          file: '/etc/aim/aim_lock_config.conf',
          validate: 'aimctl check "$1"',
          hold: 90_000,
          recover: 'automatic',
          'break-glass': ['root', 'alice', '@ops'],
          canary: 3,
          quiesce: [
            {kind: 'freezer', cgroup: '/sys/fs/cgroup/system.slice/aim.service'},
            {kind: 'unit', unit: 'aim-orchestrator.service', how: 'freeze'},
            {kind: 'command', stop: 'aimctl pause', resume: 'aimctl resume', within: 10_000},
          ],
        },
      },
      {name: 'aim_*', settings: {hold: 500}},
    ],
  );
  t.deepEqual(entries[0]?.place, {file: 'aim.yaml', line: 3, column: 3});
  t.deepEqual(entries[0]?.places.get('quiesce'), {file: 'aim.yaml', line: 10, column: 5});
  t.deepEqual(entries[1]?.places.get('hold'), {file: 'aim.yaml', line: 17, column: 11});
});

test('a file that says nothing is fine', t => {
  for (const text of ['', '# later\n', 'locks: {}\n', '---\n'])
    t.deepEqual(parseText('aim.yaml', text), {entries: [], problems: []}, text);
});

const VALUES: readonly (readonly [line: string, fault: RegExp])[] = [
  ['hold: 90', /^3:11 locks\.aim\.hold expected a time with its unit/],
  ['hold: "90"', /^3:11 locks\.aim\.hold "90" is not a time with its unit/],
  ['hold: 90sec', /"90sec" is not a time/],
  ['hold: 0s', /"0s" is out of bounds/],
  ['hold: 25h', /"25h" is out of bounds/],
  ['hold:', /^3:10 locks\.aim\.hold expected a time/],
  ['file: etc/aim.conf', /^3:11 locks\.aim\.file expected an absolute path/],
  ['validate: " "', /^3:15 locks\.aim\.validate the command is empty/],
  ['validate: [a, b]', /^3:5 locks\.aim\.validate expected a shell command/],
  ['recover: always', /^3:14 locks\.aim\.recover expected automatic or manual/],
  ['canary: 0', /^3:13 locks\.aim\.canary expected at least one node/],
  ['canary: 2.5', /locks\.aim\.canary expected a whole number/],
  ['canary: three', /locks\.aim\.canary expected a whole number/],
  ['break-glass: alice', /^3:18 locks\.aim\.break-glass expected a list/],
  ['break-glass: [alice, "a b:c"]', /^3:26 locks\.aim\.break-glass\[1\] expected the name of a user/],
  ['break-glass: [1000]', /locks\.aim\.break-glass\[0\] expected a user/],
  ['break-glass: ["1000"]', /locks\.aim\.break-glass\[0\] expected the name of a user/],
  ['break-glass: ["-x"]', /locks\.aim\.break-glass\[0\] expected the name of a user/],
  ['break-glass: [@ops]', /^3:19 locks\.aim\.break-glass\[0\] what begins with @ or ` needs quotes/],
  ['quiesce: {unit: a.service}', /^3:5 locks\.aim\.quiesce expected a list of adapters/],
  ['quiesce: [{}]', /^3:15 locks\.aim\.quiesce\[0\] expected exactly one of freezer, unit, stop/],
  ['quiesce: [{freezer: /a, unit: b.service}]', /quiesce\[0\] expected exactly one of/],
  ['quiesce: [{freezer: a}]', /^3:25 locks\.aim\.quiesce\[0\]\.freezer expected an absolute path/],
  ['quiesce: [{unit: a.service}]', /^3:15 locks\.aim\.quiesce\[0\]\.how is missing: expected freeze or stop/],
  ['quiesce: [{unit: a.timer, how: stop}]', /quiesce\[0\]\.unit expected the name of a service/],
  ['quiesce: [{stop: a, resume: b, within: 9}]', /^3:44 locks\.aim\.quiesce\[0\]\.within expected a time/],
  ['quiesce: [{freezer: /a, hwo: stop}]', /^3:29 locks\.aim\.quiesce\[0\]\.hwo unknown key/],
  ['vaildate: "true"', /^3:5 locks\.aim\.vaildate unknown key; did you mean validate\?/],
  ['xyz: 1', /^3:5 locks\.aim\.xyz unknown key; known are file, validate, hold/],
];

for (const [line, fault] of VALUES) {
  test(`"${line}" is a fault, and the only one`, t => {
    const found = faults(inLock(line));
    t.is(found.length, 1, found.join('\n'));
    t.regex(found[0] ?? '', fault);
  });
}

test('all faults are told at once, in the order of their lines', t => {
  t.deepEqual(
    faults(`lock:
  x: 1
locks:
  aim:
    hold: 90
    vaildate: x
    hold: 3s
  a/b:
    canary: 0
  "*.d":
    file: /etc/aim
`),
    [
      '1:1 lock unknown key; did you mean locks?',
      '6:5 locks.aim.vaildate unknown key; did you mean validate?',
      '7:5 locks.aim.hold is there twice, first at aim.yaml:5',
      '8:3 locks.a/b is no name of a lock, and no pattern of names',
      '9:13 locks.a/b.canary expected at least one node',
      '11:5 locks.*.d.file a pattern is for many locks, and each guards a file of its own',
    ],
  );
});

test('a name that no lock can have is a fault, whatever stands below it', t => {
  for (const name of ['a/b', '..', '"a b"', 'create', '__proto__', '"*/*"', '""', '-a', 'x'.repeat(64)])
    t.regex(faults(`locks:\n  ${name}: {}\n`)[0] ?? '', /^2:3 locks\.\S* ?.*is no name of a lock/, name);
});

test('a lock that is there twice is a fault that names both places', t => {
  t.deepEqual(faults('locks:\n  aim: {}\n  bim: {}\n  aim: {}\n'), [
    '4:3 locks.aim is there twice, first at aim.yaml:2',
  ]);
});

test('broken syntax is told with its place, and nothing is concluded from the rest', t => {
  t.deepEqual(faults('locks:\n  aim:\n    hold: "90s\n'), ['4:1 locks.aim.hold Missing closing "quote']);
  t.deepEqual(faults('locks: {}\n---\nlocks: {}\n'), [
    '2:1 locks a file holds one document: no line --- in the middle',
  ]);
});

test('what is no policy at all is a fault', t => {
  t.deepEqual(faults('just words\n'), ['1:1 - expected "locks:"']);
  t.deepEqual(faults('- locks\n'), ['1:1 - expected "locks:"']);
  t.deepEqual(faults('{}\n'), ['1:1 locks is missing: expected locks by their names']);
});

test('aliases mean what they stand for, and can not be made to fill the memory', t => {
  const {entries} = parseText('aim.yaml', 'locks:\n  a: &all\n    hold: 9s\n  b: *all\n');
  t.deepEqual(
    entries.map(({name, settings: {hold}, places}) => [name, hold, places.get('hold')?.line]),
    [
      ['a', 9000, 3],
      ['b', 9000, 3],
    ],
  );
  const letters = Array.from('abcdefgh');
  const nest = letters.map((letter, index) => {
    const inner = index === 0 ? 'x' : `*${letters[index - 1]}`;
    return `${letter}: &${letter} [${Array(9).fill(inner).join(',')}]`;
  });
  t.is(faults(nest.join('\n')).length, 1);
});
