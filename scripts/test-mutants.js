// Would the tests in test/vm notice? Seeds one fault at a time into a copy of the kernel module, and runs the tests
// that should find it. Arguments choose faults by name. Each takes half a minute, a dead-lock twice that.
import {spawnSync} from 'node:child_process';
import {cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

const PROJECT = fileURLToPath(new URL('..', import.meta.url));
const SOURCE = 'native/kernel/locksmith.c';
/** For a few tests, on a machine with other things to do. A dead-lock is found after 20 to 40 s. */
const LIMIT_SECONDS = 240;

/** The gap between looking and doing is some nanoseconds: two emulated processors hardly ever meet there. */
const WIDE_GAP = [
  '#include <linux/capability.h>\n',
  '#include <linux/capability.h>\n#include <linux/delay.h>\n',
];

/** The faults: what is replaced by what, each exactly once, and the tests that should find it. */
const MUTANTS = {
  'pid number instead of the held pid': {
    edits: [
      ['leader = pid_task(pid, PIDTYPE_TGID);', 'leader = pid_task(find_vpid(pid_nr(pid)), PIDTYPE_TGID);'],
    ],
    file: 'lock-owner',
    match: '*pid of a dead owner*',
  },
  'thread instead of the process': {
    edits: [['get_pid(task_tgid(current))', 'get_pid(task_pid(current))']],
    file: 'lock-owner',
    match: 'any thread*',
  },
  'no epoch comparison': {
    edits: [['return ls->epoch == epoch ? 0 : -ESTALE;', 'return 0;']],
    file: 'lock-owner',
    match: '*stale*',
  },
  'no liveness check': {
    edits: [['if (ls->owner != task_tgid(current) && ls_alive(ls->owner))', 'if (false)']],
    file: 'lock-owner',
    match: 'whoever sets*',
  },
  'zombie counted as alive': {
    edits: [
      [
        'alive = leader && !(READ_ONCE(leader->exit_state) && thread_group_empty(leader));',
        'alive = leader != NULL;',
      ],
    ],
    file: 'lock-owner',
    match: 'a zombie*',
  },
  'process without its leader counted as dead': {
    edits: [
      [
        'alive = leader && !(READ_ONCE(leader->exit_state) && thread_group_empty(leader));',
        'alive = leader && !READ_ONCE(leader->exit_state);',
      ],
    ],
    file: 'lock-owner',
    match: '*leader has ended*',
  },
  'no wake at death': {
    edits: [['\tschedule_work(&container_of(wait, struct ls_lock, exit_wait)->wake_work);\n', '']],
    file: 'lock-races',
    match: 'who polls owner*',
  },
  'no wake at a change': {
    edits: [['\tls_wake_pollers(ls);\n\treturn len;\n', '\treturn len;\n']],
    file: 'lock-owner',
    match: 'pollers of*',
  },
  'no wake at removal': {
    edits: [
      [
        '\tls_wake_pollers(ls);\n\tcancel_work_sync(&ls->wake_work);\n',
        '\tcancel_work_sync(&ls->wake_work);\n',
      ],
    ],
    file: 'lock-owner',
    match: 'a poller of a lock that is removed*',
  },
  'no module pin': {
    edits: [
      [
        '#define LS_NAME_MAX\t63\n',
        '#define LS_NAME_MAX\t63\n#define try_module_get(module) true\n#define module_put(module) do { } while (0)\n',
      ],
    ],
    file: 'module',
    match: 'a bit that is set keeps*',
  },
  'unlocked test-and-set': {
    edits: [
      WIDE_GAP,
      [
        '\treturn ls_own(ls);\n}\n\n/* Is the owner dead',
        '\tspin_unlock(&ls->lock);\n\tudelay(20);\n\tspin_lock(&ls->lock);\n\treturn ls_own(ls);\n}\n\n/* Is the owner dead',
      ],
    ],
    file: 'lock-races',
    match: '*race for a bit*',
  },
  'unlocked handover': {
    edits: [
      WIDE_GAP,
      [
        'return ls_check_epoch(ls, epoch) ?: ls_check_owner(ls) ?: ls_own(ls);',
        'int ret = ls_check_epoch(ls, epoch) ?: ls_check_owner(ls);\n\n\tspin_unlock(&ls->lock);\n\tudelay(20);\n\tspin_lock(&ls->lock);\n\treturn ret ?: ls_own(ls);',
      ],
    ],
    file: 'lock-races',
    match: '*from the dead*',
  },
  'bit clear in the midst of a handover': {
    edits: [
      WIDE_GAP,
      [
        '\t\tls_leave_owner(ls);\n\tls->epoch = epoch;\n',
        '\t\tls_leave_owner(ls);\n\tWRITE_ONCE(ls->owner, NULL);\n\tudelay(5);\n\tls->epoch = epoch;\n',
      ],
    ],
    file: 'lock-races',
    match: '*never reads 0',
  },
  'one epoch counter a lock': {
    edits: [['ret = ls_next_epoch(&epoch);\n', 'ret = ls_next_epoch(&epoch);\n\tepoch = ls->epoch + 1;\n']],
    file: 'module',
    match: '*epochs of all locks',
  },
  'epochs begin at the second': {
    edits: [[' + (now.tv_nsec >> LS_NSEC_SHIFT);', ';']],
    file: 'module',
    match: '*no epoch twice',
  },
  'epoch_base lowers': {
    edits: [['ls_epoch = max(ls_epoch, least);', 'ls_epoch = least;']],
    file: 'module',
    match: '*never lowers*',
  },
  'leaked reference': {
    edits: [['\tput_pid(ls->owner);\n', '']],
    file: 'module',
    match: 'owners that come*',
  },
  'leaked lock': {
    edits: [['\tkobject_put(&ls->kobj);\n\tls_count--;\n', '\tls_count--;\n']],
    file: 'module',
    match: '1,000 locks*',
  },
  'early free': {
    edits: [
      [
        '\tkobject_put(&ls->kobj);\n\tls_count--;\n',
        '\tkobject_put(&ls->kobj);\n\tkobject_put(&ls->kobj);\n\tls_count--;\n',
      ],
    ],
    file: 'lock-files',
    match: 'a lock is removed when*',
  },
  'work that outlives its lock': {
    edits: [
      WIDE_GAP,
      ['\tcancel_work_sync(&ls->wake_work);\n', ''],
      ['{\n\tls_wake_pollers(container_of(work', '{\n\tmsleep(10);\n\tls_wake_pollers(container_of(work'],
    ],
    file: 'module',
    match: '*others create*',
  },
  'store that waits for a removal': {
    edits: [
      [
        '\tspin_lock(&ls->lock);\n\tret = ls->live ? act(ls, epoch) : -ENODEV;\n\tspin_unlock(&ls->lock);\n',
        '\tmutex_lock(&ls_mutex);\n\tspin_lock(&ls->lock);\n\tret = ls->live ? act(ls, epoch) : -ENODEV;\n\tspin_unlock(&ls->lock);\n\tmutex_unlock(&ls_mutex);\n',
      ],
    ],
    file: 'module',
    match: '*others create*',
  },
  'removal of a bit that is set': {
    edits: [
      ['\tif (ls->owner)\n\t\tret = -EBUSY;\n\telse\n\t\tls->live = false;\n', '\tls->live = false;\n'],
    ],
    file: 'lock-files',
    match: 'a lock is removed when*',
  },
  'removal by anybody': {
    edits: [['if (!uid_eq(current_fsuid(), ls->uid) && !capable(CAP_FOWNER))', 'if (false)']],
    file: 'lock-files',
    match: 'who may create*',
  },
  'force for everybody': {
    edits: [['if (!capable(CAP_SYS_ADMIN))', 'if (false)']],
    file: 'lock-files',
    match: 'who may create*',
  },
  'text behind a NUL': {
    edits: [['if (strlen(buf) != len || !isdigit(buf[0]))', 'if (!isdigit(buf[0]))']],
    file: 'lock-files',
    match: 'release takes*',
  },
  'a sign before an epoch': {
    edits: [['if (strlen(buf) != len || !isdigit(buf[0]))', 'if (strlen(buf) != len)']],
    file: 'lock-files',
    match: 'release takes*',
  },
};

class DoesNotApply extends Error {}

function mutate(text, edits) {
  return edits.reduce((mutated, [from, to]) => {
    const count = mutated.split(from).length - 1;
    if (count !== 1) throw new DoesNotApply(`in ${SOURCE} this is there ${count} times: ${from}`);
    return mutated.replace(from, () => to);
  }, text);
}

/** Large, and never written to. */
const LINKED = new Set(['node_modules', 'build']);

/** A project like ours but for the module. The machine is made of the files around the program that starts it. */
function copyProject(folder, edits) {
  for (const name of readdirSync(PROJECT).filter(entry => entry !== '.git')) {
    if (LINKED.has(name)) symlinkSync(join(PROJECT, name), join(folder, name));
    else cpSync(join(PROJECT, name), join(folder, name), {recursive: true});
  }
  writeFileSync(join(folder, SOURCE), mutate(readFileSync(join(PROJECT, SOURCE), 'utf8'), edits));
}

/** What runs in the copy: the tests of the machine, without compiling them again. */
const RUN = `
  import {testInMachine} from './dist/test/machine/run.js';
  import {TapReport} from './dist/test/machine/tap.js';
  const report = new TapReport();
  await testInMachine(report, JSON.parse(process.env.LOCKSMITH_MACHINE_OPTIONS));
  process.exitCode = report.end(true);
`;

/** What failed, from the lines of a TAP report: title, message and the console's first line if there is one. */
function failuresIn(lines) {
  return lines.flatMap((line, i) => {
    const [, title] = /^not ok \d+ - (?:vm › )?(.*)$/.exec(line) ?? [];
    if (title === undefined) return [];
    const end = lines.indexOf('  ...', i);
    const details = lines.slice(i, end < 0 ? undefined : end);
    const message = /^ {4}message: (.*)$/m.exec(details.join('\n'))?.[1] ?? '';
    const console = /^ {4}console: (?:\|-\n {6})?(.*)$/m.exec(details.join('\n'))?.[1] ?? '';
    return [{title, message, console}];
  });
}

/** What the machine as a whole says; whatever else fails is a test. */
const OF_MACHINE = [
  [/^the module builds/, () => ({unclear: 'it does not build'})],
  [
    /^the machine runs to its end/,
    // Nothing was found where no test ran.
    ({message}) => (/panicked|hung/.test(message) ? {by: message.replaceAll('"', '')} : {unclear: message}),
  ],
  [
    /^the kernel log has no warning/,
    ({console}) => ({by: `kernel log: ${console.replace(/^"?\[ *[\d.]+\] /, '').slice(0, 60)}`}),
  ],
];

function explain(failure) {
  const [, say] = OF_MACHINE.find(([title]) => title.test(failure.title)) ?? [];
  return say === undefined ? {by: failure.title} : say(failure);
}

/** Runs tests on a module with these faults. Gives by what they were found, and what stood in the way. */
function findIn(edits, args, limits = {limitSeconds: LIMIT_SECONDS}) {
  const folder = mkdtempSync(join(tmpdir(), 'locksmith-mutant-'));
  try {
    copyProject(folder, edits);
    const options = JSON.stringify({arguments: args, ...limits});
    const {status, stdout} = spawnSync(process.execPath, ['--input-type=module', '-e', RUN], {
      cwd: folder,
      env: {...process.env, LOCKSMITH_MACHINE_OPTIONS: options},
      stdio: ['ignore', 'pipe', 2],
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
    });
    const failures = failuresIn(stdout.split('\n')).map(explain);
    if ((status === 0) !== (failures.length === 0)) throw new Error(`the machine can't run here:\n${stdout}`);
    return failures;
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

const testFile = name => `dist/test/vm/${name}.test.js`;
const FILES = [...new Set(Object.values(MUTANTS).map(({file}) => testFile(file)))];

const chosen = process.argv.slice(2);
const unknown = chosen.filter(name => !(name in MUTANTS));
if (unknown.length > 0) {
  console.error(`no such fault: ${unknown.join(', ')}\nThere are:\n${Object.keys(MUTANTS).join('\n')}`);
  process.exit(2);
}
if (spawnSync('npm', ['run', '--silent', 'build:ts'], {stdio: ['ignore', 2, 2]}).status !== 0)
  process.exit(1);

// Before anything is booted: do all of them apply?
const source = readFileSync(join(PROJECT, SOURCE), 'utf8');
for (const {edits} of Object.values(MUTANTS)) mutate(source, edits);

const inWords = failures => failures.map(({by, unclear}) => by ?? `UNCLEAR: ${unclear}`).join('; ');

if (chosen.length === 0) {
  const wrong = findIn([], FILES, {});
  if (wrong.length > 0) {
    console.error(`without a fault there must be no failure: ${inWords(wrong)}`);
    process.exit(1);
  }
}
const names = chosen.length > 0 ? chosen : Object.keys(MUTANTS);
const width = Math.max(...names.map(name => name.length));
console.log(`${'mutant'.padEnd(width)} | found by`);
const counts = {found: 0, survived: 0};
for (const name of names) {
  const {edits, file, match} = MUTANTS[name];
  const failures = findIn(edits, [testFile(file), `--match=${match}`]);
  counts[failures.some(({by}) => by !== undefined) ? 'found' : 'survived']++;
  console.log(`${name.padEnd(width)} | ${failures.length > 0 ? inWords(failures) : 'NOTHING'}`);
}
console.log(`${counts.found} found, ${counts.survived} survived`);
process.exitCode = counts.survived > 0 ? 1 : 0;
