/** How does this machine take part in a fleet? What the fleet file says, `/etc/locksmith/fleet/fleet.yaml`. */
import {createPublicKey, type KeyObject} from 'node:crypto';
import {statSync} from 'node:fs';
import {dirname, resolve} from 'node:path';
import {LockError} from '../errors.js';
import {hasCode} from '../os/system-error.js';
import type {System} from '../os/system.js';
import type {SchemaProblem} from '../recovery/policy/fields.js';
import {type Problem, problemText} from '../recovery/policy/place.js';
import {problemsIn, readSource} from '../recovery/policy/source.js';
import {type Demands, distrust, readTrusted} from '../recovery/policy/trusted-file.js';
import {fleetConfigPath} from './config-path.js';
import {type FleetFile, type NamedKey, parseFleetFile} from './config-schema.js';
import {memberName} from './documents.js';
import type {EtcdOptions} from './etcd/etcd.js';
import {prefixOf} from './keys.js';
import {readPrivateKey, readPublicKey, type SigningKey, type Trust, type TrustedKey} from './signing.js';

export interface FleetConfig {
  readonly fleet: string;
  /** This node's name in the fleet; by default that of the machine. */
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
  /** With the prefix of the fleet. */
  readonly etcd: EtcdOptions;
  /** Whose plans, holds and commands are believed. `atLeast` is one more than the approvals that are demanded. */
  readonly operators: Trust;
  /** Whose orders are believed. */
  readonly drivers: Trust;
  /** May health commands be run although nobody has to sign the plans that they come in? */
  readonly unsignedCommands: boolean;
  /** Of a content, in bytes. */
  readonly largest: number;
  /** What we sign plans, holds and commands with. */
  readonly sign: SigningKey | undefined;
  /** What we sign orders with when we drive. */
  readonly drive: SigningKey | undefined;
}

export {fleetConfigPath};

function broken(path: string, problems: readonly Problem[]): LockError {
  const texts = problems.map(problemText);
  const message =
    texts.length === 1
      ? `the fleet file can not be used: ${texts[0]}`
      : [`the fleet file has ${texts.length} faults:`, ...texts].join('\n  ');
  return new LockError('ERR_FLEET_CONFIG', message, {path, problems});
}

/** Something is wrong with the file as a whole. */
function unusable(path: string, what: string): LockError {
  return broken(path, [{file: path, line: null, column: null, key: null, what}]);
}

function missing(path: string): LockError {
  return new LockError(
    'ERR_FLEET_CONFIG',
    `there is no fleet file ${path}: this machine takes part in no fleet. The shortest one has two lines, "fleet: NAME" and "etcd: {endpoints: [https://HOST:2379]}"; locksmith fleet keygen makes keys for it`,
    {path, missing: true},
  );
}

/** The text of the fleet file, below a directory in which nobody else can put another one. */
function readText(system: System, path: string): string {
  try {
    const why = distrust(system, statSync(dirname(path)));
    if (why !== undefined) throw unusable(dirname(path), why);
    return readTrusted(system, path).toString();
  } catch (error) {
    if (error instanceof LockError) throw error;
    throw hasCode(error, 'ENOENT') ? missing(path) : unusable(path, (error as Error).message);
  }
}

const SECRET: Demands = {secret: true, linked: true};
const PUBLIC: Demands = {linked: true};

/** Reads the files that the fleet file names, and collects what is wrong with them. */
class NamedFiles {
  readonly #system: System;
  readonly #directory: string;
  readonly problems: SchemaProblem[] = [];

  constructor(system: System, directory: string) {
    this.#system = system;
    this.#directory = directory;
  }

  say(path: SchemaProblem['path'], what: string): void {
    this.problems.push({path, what, atKey: false});
  }

  /** What that file gives; undefined, and a problem, when it gives nothing. */
  read<T>(path: SchemaProblem['path'], name: string, demands: Demands, toValue: (content: Buffer) => T) {
    const file = resolve(this.#directory, name);
    try {
      return toValue(readTrusted(this.#system, file, demands));
    } catch (error) {
      const {message} = error as Error;
      this.say(path, message.includes(file) ? message : `${file}: ${message}`);
      return undefined;
    }
  }

  optional(
    path: SchemaProblem['path'],
    name: string | undefined,
    demands: Demands,
  ): {readonly content: Buffer | undefined} {
    return {content: name === undefined ? undefined : this.read(path, name, demands, content => content)};
  }

  publicKeys(list: 'operators' | 'drivers', named: readonly NamedKey[]): TrustedKey[] {
    const keys: TrustedKey[] = [];
    for (const [index, {name, key: file}] of named.entries()) {
      const path = [list, index, 'key'];
      const key = this.read(path, file, PUBLIC, pem => readPublicKey(pem.toString(), `the key of ${name}`));
      if (!key) continue;
      const same = keys.find(other => other.key.equals(key));
      if (same) this.say(path, `is the key of ${same.name} too: whoever has it would count as two`);
      keys.push({name, key});
    }
    return keys;
  }

  /** A private key of ours, which those must trust who are to believe it. */
  privateKey(
    which: 'sign' | 'drive',
    named: NamedKey | undefined,
    trusted: readonly TrustedKey[],
  ): SigningKey | undefined {
    if (!named) return undefined;
    const {name, key: file} = named;
    const path = [which, 'key'];
    const key = this.read(path, file, SECRET, pem => readPrivateKey(pem.toString(), `the key of ${name}`));
    if (!key) return undefined;
    this.#checkTrusted(which, {name, key}, trusted);
    return {name, key};
  }

  #checkTrusted(which: 'sign' | 'drive', {name, key}: SigningKey, trusted: readonly TrustedKey[]): void {
    if (trusted.length === 0) return;
    const list = which === 'sign' ? 'operators' : 'drivers';
    const known = trusted.find(other => other.name === name);
    if (!known) this.say([which, 'name'], `${name} is none of the ${list}: nobody would believe it`);
    else if (!isPair(key, known.key))
      this.say([which, 'key'], `is not the private key of what the ${list} have for ${name}`);
  }
}

function isPair(privateKey: KeyObject, publicKey: KeyObject): boolean {
  return createPublicKey(privateKey).equals(publicKey);
}

/** The last newline is that of the editor. */
function password(content: Buffer): string {
  return content.toString().replace(/\r?\n$/, '');
}

function etcdOptions(files: NamedFiles, {fleet, etcd}: FleetFile): EtcdOptions {
  const {endpoints, user, timeout} = etcd;
  const read = (key: 'ca' | 'certificate' | 'key' | 'password-file', demands: Demands) =>
    files.optional(['etcd', key], etcd[key], demands).content;
  const secret = read('password-file', SECRET);
  const tls = {ca: read('ca', PUBLIC), certificate: read('certificate', PUBLIC), key: read('key', SECRET)};
  return {
    endpoints,
    prefix: prefixOf(fleet),
    timeout,
    ...(endpoints[0]?.startsWith('https:') && {tls}),
    ...(user !== undefined && secret && {user: {name: user, password: password(secret)}}),
  };
}

function toConfig({node}: System, files: NamedFiles, file: FleetFile): FleetConfig {
  const operators = files.publicKeys('operators', file.operators);
  const drivers = files.publicKeys('drivers', file.drivers);
  const ours = file.node ?? node;
  if (!memberName.safeParse(ours).success)
    files.say(['node'], `the name of this machine, ${JSON.stringify(ours)}, is none for a node: give one`);
  return {
    fleet: file.fleet,
    node: ours,
    labels: file.labels,
    etcd: etcdOptions(files, file),
    operators: {keys: operators, atLeast: file.approvals + 1},
    drivers: {keys: drivers, atLeast: 1},
    unsignedCommands: file['unsigned-commands'],
    largest: file.largest,
    sign: files.privateKey('sign', file.sign, operators),
    drive: files.privateKey('drive', file.drive, drivers),
  };
}

/**
 * Reads the fleet file and the keys that it names. Throws ERR_FLEET_CONFIG: it is missing (`missing`), or has faults
 * (`problems`), each with its line and key.
 */
export function readFleetConfig(system: System, given?: string): FleetConfig {
  const path = fleetConfigPath(system, given);
  const read = readSource(path, readText(system, path));
  if ('problems' in read) throw broken(path, read.problems);
  const {source, value} = read;
  const parsed = parseFleetFile(value);
  const atFirst = problemsIn(source, 'problems' in parsed ? parsed.problems : []);
  if ('problems' in parsed || atFirst.length > 0) throw broken(path, atFirst);
  const files = new NamedFiles(system, dirname(path));
  const config = toConfig(system, files, parsed.file);
  if (files.problems.length > 0) throw broken(path, problemsIn(source, files.problems));
  return config;
}
