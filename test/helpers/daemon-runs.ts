/** How fast and how right is the daemon, over many deaths, starts and ends of its own? Real owners, real signals; figures for those who ask. */
import {mkdtempSync, readdirSync, readFileSync, rmdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {setTimeout as sleep} from 'node:timers/promises';
import {ownerFor, openRecord} from '../../lib/lock/owner-record.js';
import {processesIn} from '../../lib/os/cgroup.js';
import {readMounts} from '../../lib/os/mounts.js';
import {examineProcess, waitForExit} from '../../lib/os/process.js';
import {readSystem} from '../../lib/os/system.js';
import {verifyAudit} from '../../lib/recovery/audit.js';
import {type GuardedConfig, openConfigLock} from '../../lib/recovery/guarded-config.js';
import {compileProgram} from './compile.js';
import {AUTOMATIC, daemon, type TestDaemon} from './daemon.js';
import {Peer} from './peer.js';
import type {Ends, Scratch} from './scratch.js';

/** Milliseconds. */
export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) =>
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0) * 100) / 100;
  return {count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1)};
}

const clock = () => Number(process.hrtime.bigint()) / 1e6;

/** Many locks in one RUN. */
export async function makeLocks(place: Scratch, count: number): Promise<GuardedConfig[]> {
  const configs = [];
  for (let number = 0; number < count; number++) {
    const file = join(place.directory, 'etc', `many-${number}.conf`);
    writeFileSync(file, '0\n');
    configs.push(await openConfigLock(file, place.roots));
  }
  return configs;
}

/** Owners that do nothing (fixtures/owners.c), written down as they would themselves. */
export class Owners {
  readonly peer: Peer;

  constructor(t: Ends, {directory}: Scratch) {
    const program = join(directory, 'owners');
    compileProgram(fileURLToPath(new URL('../../../test/fixtures/owners.c', import.meta.url)), program);
    this.peer = new Peer(program);
    t.teardown(() => this.peer.child.kill('SIGKILL'));
  }

  async own(config: GuardedConfig, how: 'own' | 'orphan' = 'own'): Promise<{pid: number; epoch: number}> {
    const {paths, bit, name} = config;
    const pid = Number(await this.peer.ask(`${how} ${paths.guard} ${paths.gate}`));
    const presence = examineProcess(config.system, pid);
    if (presence.kind !== 'running') throw new Error(`the owner is ${presence.kind}`);
    const [before, epoch] = [bit.epoch(), bit.epoch() + 1];
    const owner = {...ownerFor(config.system, 'to die'), pid, identity: presence.facts.identity};
    const file = openRecord(paths.owner);
    file.write({v: 1, state: 'owned', lock: name, epoch, owner});
    file.close();
    using open = bit.open();
    open.set(before, epoch);
    return {pid, epoch};
  }

  /** When, on our clock, in milliseconds. */
  async kill(pid: number): Promise<number> {
    const answer = await this.peer.ask(`kill ${pid}`);
    return Number(answer.split(' ')[1]) / 1e6;
  }
}

export interface Deaths {
  /** From SIGKILL to the event that a client reads. */
  readonly seen: Spread;
  /** From SIGKILL to ALL CLEAR, as a client reads it. */
  readonly clear: Spread;
}

/** Owners die one after the other, and their locks are recovered by policy. */
export async function runDeaths(t: Ends, place: Scratch, count: number): Promise<Deaths> {
  const configs = await makeLocks(place, Math.min(count, 20));
  const it = await daemon(t, place, {policy: AUTOMATIC});
  const owners = new Owners(t, place);
  const events = await it.listen();
  const [seen, clear]: [number[], number[]] = [[], []];
  for (let death = 0; death < count; death++) {
    const config = configs[death % configs.length] as GuardedConfig;
    const {pid} = await owners.own(config);
    for (let bit: unknown; bit !== 1; ) bit = (await events.until('changed', config.name))['bit'];
    const killing = owners.kill(pid);
    await events.until('owner-died', config.name);
    const died = clock();
    await events.until('recovered', config.name);
    const recovered = clock();
    const killed = await killing;
    seen.push(died - killed);
    clear.push(recovered - killed);
    const {state} = await it.client.examine(config.name);
    if (state !== 'FREE') throw new Error(`${config.name} is ${state} after its recovery`);
  }
  await it.end();
  return {seen: spread(seen), clear: spread(clear)};
}

/** Owners that live, in odd ways: all of them must be found to own their locks. Gives those that were not. */
export async function runLiving(
  t: Ends,
  place: Scratch,
  count: number,
  freeze: (pid: number) => void,
): Promise<string[]> {
  const configs = await makeLocks(place, count);
  const owners = new Owners(t, place);
  const it = await daemon(t, place, {policy: AUTOMATIC, options: ['--sweep', '200ms']});
  const expected = new Map<string, {pid: number; epoch: number}>();
  for (const [index, config] of configs.entries()) {
    const how = (['stopped', 'renamed', 're-parented', 'frozen'] as const)[index % 4];
    const owner = await owners.own(config, how === 're-parented' ? 'orphan' : 'own');
    if (how === 're-parented') t.teardown(() => process.kill(owner.pid, 'SIGKILL'));
    expected.set(config.name, owner);
    if (how === 'stopped') await owners.peer.ask(`stop ${owner.pid}`);
    if (how === 'renamed') await owners.peer.ask(`rename ${owner.pid}`);
    if (how === 'frozen') freeze(owner.pid);
  }
  const events = await it.listen();
  for (let sweep = 0; sweep < 3; sweep++) await events.until('swept');
  const wrong = (await it.client.metrics())
    .split('\n')
    .filter(line => /^locksmith_(owner_deaths|recoveries)_total.* [1-9]/.test(line));
  for (const [name, {pid, epoch}] of expected) {
    const verdict = await it.client.examine(name);
    const right =
      (verdict.state === 'ALIVE' || verdict.state === 'FROZEN') &&
      verdict.owner?.pid === pid &&
      verdict.epoch === epoch;
    if (!right) wrong.push(`${name}: ${verdict.state}, owner ${verdict.owner?.pid}`);
  }
  await it.end();
  return wrong;
}

export interface Boot {
  /** From the start of the program until it says that it is ready, milliseconds. */
  readonly ready: number;
  readonly allClear: number;
  readonly left: number;
}

/** A boot with so many ghosts: all their owners died while no daemon ran. */
export async function runGhosts(t: Ends, place: Scratch, count: number): Promise<Boot> {
  const configs = await makeLocks(place, count);
  const owners = new Owners(t, place);
  for (const config of configs) await owners.kill((await owners.own(config)).pid);
  const start = clock();
  const it = await daemon(t, place, {policy: AUTOMATIC});
  const ready = Math.round(clock() - start);
  const left = configs.filter(({bit}) => bit.read() === 1).length;
  const {ok, records} = await verifyAudit(place.roots.state);
  if (!ok || records !== 2 * count)
    throw new Error(`the audit log has ${records} records for ${count} recoveries`);
  const metrics = await it.client.metrics();
  await it.end();
  return {
    ready,
    left,
    allClear: Number(/^locksmith_recoveries_total\{outcome="recovered"\} (\d+)$/m.exec(metrics)?.[1]),
  };
}

export interface Churn {
  readonly acquisitions: number;
  /** Of the daemon, at a tenth of the way and at its end. */
  readonly memory: readonly [early: number, late: number];
  readonly descriptors: readonly [early: number, late: number];
}

function measure({pid}: TestDaemon): {memory: number; descriptors: number} {
  const resident = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return {memory: resident / 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length};
}

/** Many acquisitions while the daemon watches, and asks of it: does it grow? */
export async function runChurn(t: Ends, place: Scratch, count: number): Promise<Churn> {
  const configs = await makeLocks(place, 4);
  const it = await daemon(t, place, {policy: AUTOMATIC});
  let early: ReturnType<typeof measure> | undefined;
  for (let done = 0; done < count; done++) {
    const owned = await (configs[done % configs.length] as GuardedConfig).acquire();
    await owned.release();
    if (done % 100 === 0) await it.client.locks();
    if (done === Math.floor(count / 10)) early = measure(it);
  }
  const late = measure(it);
  await it.end();
  const {memory, descriptors} = early ?? late;
  return {acquisitions: count, memory: [memory, late.memory], descriptors: [descriptors, late.descriptors]};
}

export interface Kills {
  readonly kills: number;
  /** From the start of the program until it says that it is ready. */
  readonly ready: Spread;
  readonly updates: number;
  readonly holds: number;
  readonly recoveries: number;
  readonly wrong: readonly string[];
}

/** What goes on while daemons come and die. Stops when `over` is said. */
class Load {
  over = false;
  updates = 0;
  holds = 0;
  recoveries = 0;
  readonly wrong: string[] = [];

  /** Each adds one; what is lost shows in the end. */
  async update(config: GuardedConfig): Promise<void> {
    while (!this.over) {
      await config.update(current => `${Number(current) + 1}\n`);
      this.updates++;
    }
  }

  /** Owners that die in the middle: the daemon, or the one that comes after it, recovers. */
  async die(config: GuardedConfig, owners: Owners): Promise<void> {
    while (!this.over) {
      const {pid, epoch} = await owners.own(config);
      await owners.kill(pid);
      const next = await config.acquire({onOrphan: 'wait'});
      if (next.epoch <= epoch) this.wrong.push(`${config.name}: epoch ${next.epoch} after ${epoch}`);
      await next.release();
      this.recoveries++;
    }
  }

  /** No hold outlives its bound, whatever becomes of its daemon. */
  async hold(config: GuardedConfig, it: () => TestDaemon): Promise<void> {
    while (!this.over) {
      const bound = 200;
      const asked = clock();
      const hold = await it()
        .client.hold({lock: config.name, for: bound})
        .catch(() => undefined);
      if (hold) this.holds++;
      (await config.enter()).leave();
      // One without a bound would last for ever; the rest is for a machine that is busy.
      const lasted = clock() - asked;
      if (lasted > bound + 5000) this.wrong.push(`a hold of ${bound} ms lasted ${Math.round(lasted)} ms`);
      await sleep(5);
    }
  }
}

/** Daemons are killed at random moments, one after the other, while locks are taken, owners die and holds are asked for. */
export async function runKills(t: Ends, place: Scratch, count: number, locks: number): Promise<Kills> {
  const idle = await makeLocks(place, locks);
  const [counted, dying, held, owned] = idle as [GuardedConfig, GuardedConfig, GuardedConfig, GuardedConfig];
  const owners = new Owners(t, place);
  const keeper = await owned.acquire({purpose: 'to be kept through it all'});
  const load = new Load();
  let it = await daemon(t, place, {policy: AUTOMATIC});
  const going = Promise.all([load.update(counted), load.die(dying, owners), load.hold(held, () => it)]);
  const ready: number[] = [];
  for (let kill = 0; kill < count; kill++) {
    await sleep(Math.random() * 200);
    await it.kill();
    const start = clock();
    it = await daemon(t, place, {policy: AUTOMATIC});
    ready.push(clock() - start);
    const known = await it.client.locks();
    if (known.length !== locks) load.wrong.push(`${known.length} locks are known after restart ${kill}`);
    const kept = known.find(({name}) => name === owned.name);
    if (kept?.owner?.pid !== process.pid || kept.epoch !== keeper.epoch)
      load.wrong.push(`the owner is lost after restart ${kill}`);
  }
  load.over = true;
  await going;
  await keeper.release();
  const content = Number(readFileSync(counted.file, 'utf8'));
  if (content !== load.updates) load.wrong.push(`${load.updates} updates came to ${content}`);
  await it.end();
  const {updates, holds, recoveries, wrong} = load;
  return {kills: count, ready: spread(ready), updates, holds, recoveries, wrong};
}

/** Puts processes into a frozen cgroup, where there is one to be had; else stops them. */
export function freezing(t: Ends): (pid: number) => void {
  const group = frozenGroup(t);
  if (group === undefined) return pid => process.kill(pid, 'SIGSTOP');
  return pid => writeFileSync(join(group, 'cgroup.procs'), String(pid));
}

/** A frozen cgroup (cgroup v2), which goes with the run. */
function frozenGroup(t: Ends): string | undefined {
  const mount = [...readMounts(readSystem()).values()].find(({type}) => type === 'cgroup2')?.point;
  if (mount === undefined || process.geteuid?.() !== 0) return undefined;
  const group = mkdtempSync(join(mount, 'locksmith-test-'));
  t.teardown(async () => {
    writeFileSync(join(group, 'cgroup.freeze'), '0');
    for (const pid of processesIn(group)) {
      const end = waitForExit(pid);
      process.kill(pid, 'SIGKILL');
      await end;
    }
    rmdirSync(group);
  });
  writeFileSync(join(group, 'cgroup.freeze'), '1');
  return group;
}
