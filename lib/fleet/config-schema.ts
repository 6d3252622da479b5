/** What may stand in the fleet file? Its shape, and what each value must be. */
import {z} from 'zod';
import {duration, fields, type SchemaProblem, toProblems} from '../recovery/policy/fields.js';
import {memberName} from './documents.js';

/** Bytes of a content when nothing else is said, and at most: etcd takes no larger request by default, or hardly. */
const USUAL_CONTENT = 1024 * 1024;
const LARGEST_CONTENT = 8 * 1024 * 1024;

const path = z
  .string('expected the path of a file')
  .refine(text => text !== '' && !/[\0\n]/.test(text), 'expected the path of a file');

const endpoint = z
  .string('expected a URL')
  .regex(/^https?:\/\/[^\s/@?#]+$/, 'expected the URL of a member of etcd: https://etcd-1:2379');

const etcd = fields(
  {
    endpoints: z.array(endpoint, 'expected a list of URLs').min(1, 'expected at least one URL'),
    ca: path.optional(),
    certificate: path.optional(),
    key: path.optional(),
    user: z.string('expected a name').min(1, 'expected a name').optional(),
    'password-file': path.optional(),
    timeout: duration.optional(),
  },
  'expected endpoints, and how to reach them',
).check(({value, issues}) => {
  const say = (key: string, message: string) =>
    issues.push({code: 'custom', input: value, path: [key], message});
  const [secure, ...more] = value.endpoints.map(url => url.startsWith('https:'));
  if (more.some(each => each !== secure))
    say('endpoints', 'some are http, some https: the members of one cluster are all one or the other');
  if (!secure) {
    for (const key of ['ca', 'certificate', 'key'] as const)
      if (value[key] !== undefined) say(key, 'is of no use with http: the endpoints must be https');
  }
  if ((value.certificate === undefined) !== (value.key === undefined))
    say(value.key === undefined ? 'certificate' : 'key', 'certificate and key go together');
  if ((value.user === undefined) !== (value['password-file'] === undefined))
    say(value.user === undefined ? 'password-file' : 'user', 'user and password-file go together');
});

const namedKey = fields({name: memberName, key: path}, 'expected a name and the file of a key');
const publicKeys = z
  .array(namedKey, 'expected a list of names with their public keys')
  .default([])
  .check(({value, issues}) => {
    for (const [index, {name}] of value.entries()) {
      if (value.findIndex(other => other.name === name) < index)
        issues.push({
          code: 'custom',
          input: name,
          path: [index, 'name'],
          message: `${name} is there already`,
        });
    }
  });

const people = z.int('expected a number of people').min(0, 'expected a number of people');

const fleetFile = fields(
  {
    fleet: memberName,
    node: memberName.optional(),
    labels: z
      .record(memberName, z.string('expected a text; a number needs quotes').max(255), 'expected labels')
      .default({}),
    etcd,
    operators: publicKeys,
    drivers: publicKeys,
    approvals: people.default(0),
    'unsigned-commands': z.boolean('expected true or false').default(false),
    largest: z
      .int('expected a number of bytes')
      .min(1, 'expected a number of bytes')
      .max(LARGEST_CONTENT, `at most ${LARGEST_CONTENT} bytes`)
      .default(USUAL_CONTENT),
    sign: namedKey.optional(),
    drive: namedKey.optional(),
  },
  'expected "fleet:", "etcd:" and what else docs/fleet.md says',
).check(({value, issues}) => {
  const {approvals, operators} = value;
  if (approvals === 0 || approvals < operators.length) return;
  const message =
    operators.length === 0
      ? 'nobody can approve: there are no operators'
      : `whoever starts something and ${approvals} who approve are ${approvals + 1}, and there are ${operators.length} operators`;
  issues.push({code: 'custom', input: approvals, path: ['approvals'], message});
});

/** What the file says; files that it names are not read yet. */
export type FleetFile = z.infer<typeof fleetFile>;

export type NamedKey = z.infer<typeof namedKey>;

/** The file as it was read, or all that is wrong with it. */
export function parseFleetFile(
  value: unknown,
): {readonly file: FleetFile} | {readonly problems: readonly SchemaProblem[]} {
  const {success, data, error} = fleetFile.safeParse(value);
  return success ? {file: data} : {problems: error.issues.flatMap(toProblems)};
}
