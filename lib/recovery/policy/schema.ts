/** What may stand in a policy file? Its shape, and what each value must be. */
import {isAbsolute} from 'node:path';
import {z} from 'zod';
import {checkName} from '../../lock/layout.js';
import type {QuiesceSpec} from '../quiesce/spec.js';
import {duration, fields, type SchemaProblem, toProblems} from './fields.js';
import {isPattern, type Settings} from './policy.js';

const command = z
  .string('expected a shell command')
  .refine(text => text.trim() !== '', 'the command is empty')
  .refine(text => !text.includes('\0'), 'a command has no NUL');

const absolutePath = z
  .string('expected an absolute path')
  .refine(path => isAbsolute(path) && !/[\0\n]/.test(path), 'expected an absolute path');

/** Names that systemd gives to units; it stops or freezes processes in services, scopes and slices. */
const unit = z
  .string('expected the name of a unit')
  .regex(/^[\w:.@\\-]+\.(service|scope|slice)$/, 'expected the name of a service, scope or slice of systemd');

/** A user, or a group with an @ before it. Digits alone would be looked up as an id. */
const person = z
  .string('expected a user, or "@" and a group; what begins with @ needs quotes')
  .regex(/^(?!@?\d+$)@?[^\s@:,/-][^\n:,/]*$/, 'expected the name of a user, or "@" and that of a group');

const freezer = fields({freezer: absolutePath}, 'expected an adapter').transform(
  ({freezer: cgroup}): QuiesceSpec => ({kind: 'freezer', cgroup}),
);
const systemdUnit = fields(
  {unit, how: z.enum(['freeze', 'stop'], 'expected freeze or stop')},
  'expected an adapter',
).transform((spec): QuiesceSpec => ({kind: 'unit', ...spec}));
const commandPair = fields(
  {stop: command, resume: command, within: duration},
  'expected an adapter',
).transform((spec): QuiesceSpec => ({kind: 'command', ...spec}));

/** Each adapter is known by its first key. */
const ADAPTERS: Readonly<Record<string, z.ZodType<QuiesceSpec>>> = {
  freezer,
  unit: systemdUnit,
  stop: commandPair,
};

/** Chosen by its key, so that what is wrong is said of the adapter that was meant. */
const quiesce = z.record(z.string(), z.unknown(), 'expected an adapter').transform((value, context) => {
  const kinds = Object.keys(ADAPTERS).filter(key => Object.hasOwn(value, key));
  if (kinds.length !== 1) {
    context.addIssue(`expected exactly one of ${Object.keys(ADAPTERS).join(', ')}`);
    return z.NEVER;
  }
  const result = ADAPTERS[kinds[0] ?? '']?.safeParse(value);
  if (result?.success) return result.data;
  for (const {path, what, atKey} of result?.error.issues.flatMap(toProblems) ?? [])
    context.addIssue({code: 'custom', path: [...path], message: what, params: {atKey}});
  return z.NEVER;
});

const settings = fields(
  {
    file: absolutePath.optional(),
    validate: command.optional(),
    hold: duration.optional(),
    recover: z.enum(['automatic', 'manual'], 'expected automatic or manual').optional(),
    'break-glass': z.array(person, 'expected a list of users and groups').optional(),
    canary: z.int('expected a whole number of nodes').min(1, 'expected at least one node').optional(),
    quiesce: z.array(quiesce, 'expected a list of adapters').optional(),
  } satisfies Record<keyof Settings, z.ZodType>,
  'expected settings of a lock',
);

function isName(name: string): boolean {
  try {
    // A pattern must fit names: then it is one itself, with letters for its stars.
    checkName(name.replaceAll('*', 'x'));
    return true;
  } catch {
    return false;
  }
}

const locks = z.record(z.string(), settings, 'expected locks by their names');

/** A whole file; one that says nothing is fine. */
const policyFile = z.nullable(fields({locks}, 'expected "locks:"'));

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** What is wrong with the names, whatever stands below them. */
function nameProblems(value: unknown): SchemaProblem[] {
  const found = isObject(value) && isObject(value['locks']) ? Object.entries(value['locks']) : [];
  return found.flatMap(([name, said]) => {
    const path = ['locks', name];
    if (!isName(name)) return [{path, what: 'is no name of a lock, and no pattern of names', atKey: true}];
    if (!isPattern(name) || !isObject(said) || !Object.hasOwn(said, 'file')) return [];
    const what = 'a pattern is for many locks, and each guards a file of its own';
    return [{path: [...path, 'file'], what, atKey: true}];
  });
}

/** Settings by name or pattern; with problems, whatever could be made of it is left out. */
export function parsePolicy(value: unknown): {
  readonly locks: Readonly<Record<string, Settings>>;
  readonly problems: readonly SchemaProblem[];
} {
  const {success, data, error} = policyFile.safeParse(value);
  const problems = [...nameProblems(value), ...(success ? [] : error.issues.flatMap(toProblems))];
  return {locks: problems.length > 0 ? {} : (data?.locks ?? {}), problems};
}
