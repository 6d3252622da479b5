/** `locksmith policy`: are the policy files without fault, and what do they say of a lock? */
import {resolve} from 'node:path';
import {EXIT, LockError} from '../../errors.js';
import {system} from '../../os/system.js';
import {findConfigLock} from '../../recovery/guarded-config.js';
import {idOf} from '../../recovery/permission.js';
import {placeText, problemText} from '../../recovery/policy/place.js';
import {
  type PolicyEntry,
  type PolicyReading,
  type Setting,
  type Settings,
} from '../../recovery/policy/policy.js';
import {policyDirectory, readPolicy, readPolicyFiles} from '../../recovery/policy/read.js';
import type {QuiesceSpec} from '../../recovery/quiesce/spec.js';
import type {CommandSpec, Given} from '../command.js';
import {align, note, oneLine, paint, print, printJson} from '../output.js';
import {POLICY_OPTION, policyFor} from '../policy.js';
import {findByFile, isFile} from '../resolve.js';
import {showDuration} from '../units.js';

interface PolicyCommandGiven extends Given {
  readonly policy?: string;
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** Names that nobody knows here: they may come from a service that is not to be had now, so they are no fault. */
async function unknownPeople(entries: readonly PolicyEntry[]): Promise<string[]> {
  const unknown: string[] = [];
  for (const {name, settings, place, places} of entries) {
    for (const person of settings['break-glass'] ?? []) {
      if ((await idOf(person)) === undefined)
        unknown.push(
          `${placeText(places.get('break-glass') ?? place)}: locks.${name}.break-glass: nobody here knows ${person}`,
        );
    }
  }
  return unknown;
}

/** Without FILEs, the whole policy; with them, these alone, wherever they are to be put. */
async function check(files: readonly string[], {policy, json}: PolicyCommandGiven): Promise<number> {
  const directory = policyDirectory(system(), policy);
  const read: PolicyReading =
    files.length > 0
      ? await readPolicyFiles(
          system(),
          files.map(file => resolve(file)),
        )
      : await readPolicy(system(), policy);
  const warnings = await unknownPeople(read.entries);
  const locks = read.entries.map(({name}) => name);
  const ok = read.problems.length === 0;
  if (json) printJson({files: read.files, locks, ok, problems: read.problems, warnings});
  else {
    const where = files.length > 0 ? '' : ` in ${directory}`;
    const result = ok
      ? paint(process.stdout, 'green', 'no fault')
      : paint(process.stdout, 'red', count(read.problems.length, 'fault'));
    print(
      `${count(read.files.length, 'file')}${where}, ${count(locks.length, 'lock or pattern', 'locks or patterns')}: ${result}`,
    );
    for (const problem of read.problems) print(oneLine(problemText(problem)));
    for (const warning of warnings) note(`locksmith: warning: ${warning}`);
  }
  return ok ? EXIT.done : EXIT.no;
}

function adapterText(spec: QuiesceSpec): string {
  if (spec.kind === 'freezer') return `freezer ${spec.cgroup}`;
  if (spec.kind === 'unit') return `${spec.how} ${spec.unit}`;
  return `${spec.stop}, then ${spec.resume}, each within ${showDuration(spec.within)}`;
}

/** Each setting in words; what the policy does not say has a default. */
const SETTING_TEXT: {readonly [Key in Setting]: (value: NonNullable<Settings[Key]>) => string} = {
  file: file => file,
  validate: command => command,
  hold: showDuration,
  recover: how => how,
  'break-glass': people => ['root', ...people.filter(person => person !== 'root')].join(', '),
  canary: nodes => count(nodes, 'node'),
  quiesce: specs => specs.map(adapterText).join('; ') || 'nothing',
};

const DEFAULTS: {readonly [Key in Setting]: string} = {
  file: 'as the lock was made',
  validate: 'none',
  hold: '90 s',
  recover: 'manual',
  'break-glass': 'root, the user of the owner',
  canary: 'none',
  quiesce: 'nothing',
};

/** A lock by NAME, also one that is not there yet; or by the FILE that it guards, or is to guard. */
function nameMeant(
  target: string,
  guardings: readonly {readonly name: string; readonly file: string}[],
): string {
  if (!isFile(target)) return target;
  const file = resolve(target);
  const name = findByFile(target)?.name ?? guardings.find(each => each.file === file)?.name;
  if (name === undefined)
    throw new LockError('ERR_UNKNOWN_LOCK', `no lock guards ${file}, and the policy names none`, {
      path: file,
    });
  return name;
}

async function show(
  [target = '', ...more]: readonly string[],
  {policy, json}: PolicyCommandGiven,
): Promise<number> {
  if (target === '' || more.length > 0)
    throw new LockError('ERR_ARGUMENT', 'give one lock: locksmith policy show LOCK');
  const read = await policyFor(policy === undefined ? {} : {policy});
  const name = nameMeant(target, read.guardings);
  const {settings, places} = read.of(name);
  if (json) {
    printJson({name, settings, places: Object.fromEntries(places)});
    return EXIT.done;
  }
  const rows = (Object.keys(SETTING_TEXT) as Setting[]).map(setting => {
    const value = settings[setting];
    const place = places.get(setting);
    const text =
      value === undefined ? DEFAULTS[setting] : (SETTING_TEXT[setting] as (value: unknown) => string)(value);
    return [`  ${setting}`, place ? placeText(place) : '(default)', oneLine(text)];
  });
  const known = findConfigLock(name) ? '' : ', which is not there yet';
  print([`${name}${known}`, ...align(rows)].join('\n'));
  return EXIT.done;
}

const ACTS: Readonly<Record<string, typeof check>> = {check, show};

export const policyCommand: CommandSpec<PolicyCommandGiven> = {
  name: 'policy',
  group: 'Look:',
  summary: 'check the policy files, or show what they say of a lock',
  arguments: [
    ['<what>', 'check: find all faults; show: what applies to a lock, and where it stands'],
    [
      '[target...]',
      'to check: FILEs, by default all *.yaml of the policy; to show: the NAME or FILE of a lock',
    ],
  ],
  options: [POLICY_OPTION],
  examples: [
    ['locksmith policy check', 'every fault of every file, with its line and key'],
    ['locksmith policy check ./aim.yaml', 'before it is put into /etc/locksmith'],
    ['locksmith policy show aim_lock_config', 'what applies to it, and from which line'],
  ],
  about:
    'The policy says for each lock, by its name or by a pattern with *: which file it guards, who validates, how long a hold lasts, what is stopped meanwhile, who may break the glass. ' +
    'A name beats a pattern, a pattern with more letters one with fewer, setting by setting. Other commands refuse a policy that has a fault.',
  exits: [
    [0, 'no fault'],
    [1, 'the policy has faults'],
    [2, 'a failure; for show: the policy has a fault, or no such lock'],
    [64, 'usage'],
  ],
  async run([what = '', ...targets], options) {
    const act = Object.hasOwn(ACTS, what) ? ACTS[what] : undefined;
    if (!act) throw new LockError('ERR_ARGUMENT', `check or show, not ${what}`);
    return act(targets, options);
  },
};
