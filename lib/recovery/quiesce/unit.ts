/** How is a unit of systemd stopped? Through systemctl, and systemd is asked afterwards what came of it (org.freedesktop.systemd1(5)). */
import {execFile} from 'node:child_process';
import {existsSync} from 'node:fs';
import {join} from 'node:path';
import {ownPaths} from '../../os/cgroup.js';
import type {Action} from '../../os/hold-supervisor.js';
import type {System} from '../../os/system.js';
import {type Adapter, refusal} from './adapter.js';

/** So long may a unit take to start or to thaw, in milliseconds. The job of systemd goes on when we wait no longer. */
const RESTORE_TIME = 30_000;

/** So long may systemd take to tell a state, in milliseconds. */
const TELLING_TIME = 10_000;

const PROPERTIES = ['LoadState', 'ActiveState', 'FreezerState', 'CanFreeze', 'ControlGroup', 'Job'] as const;

type UnitState = Partial<Record<(typeof PROPERTIES)[number], string>>;

/** The verbs of each way, the state that acknowledges it, and the one that undoes it. */
const WAYS = {
  freeze: {stop: 'freeze', restore: 'thaw', sign: 'FreezerState=frozen'},
  stop: {stop: 'stop', restore: 'start', sign: 'ActiveState=inactive'},
} as const;

function findSystemctl({env}: System): string {
  const places = (env['PATH'] ?? '/usr/bin:/bin').split(':').map(place => join(place, 'systemctl'));
  return places.find(place => place.startsWith('/') && existsSync(place)) ?? '/usr/bin/systemctl';
}

function isDown({ActiveState}: UnitState): boolean {
  return ActiveState === 'inactive' || ActiveState === 'failed';
}

/** Stands still, and no job is going to change that. */
function isStopped(how: keyof typeof WAYS, state: UnitState): boolean {
  if (how === 'freeze' && state.FreezerState === 'frozen') return true;
  return isDown(state) && (state.Job ?? '') === '';
}

/** True when we are in that cgroup, so that stopping it would stop us. */
function holdsUs(system: System, group: string | undefined): boolean {
  if (group === undefined || group === '') return false;
  return ownPaths(system).some(path => path === group || path.startsWith(`${group}/`));
}

/** The adapter of one unit. */
export function unit(
  system: System,
  {unit: name, how}: {readonly unit: string; readonly how: 'freeze' | 'stop'},
  milliseconds: number,
): Adapter {
  const title = `unit ${name}`;
  const systemctl = findSystemctl(system);
  const environment = {...system.env, LC_ALL: 'C', SYSTEMD_COLORS: '0'};
  const way = WAYS[how];
  const act = (verb: string, time: number): Action => ({
    argv: [systemctl, '--no-ask-password', '--quiet', verb, '--', name],
    environment,
    milliseconds: time,
  });

  /** What systemd says of the unit. */
  const ask = (signal?: AbortSignal) =>
    new Promise<UnitState>((resolve, reject) => {
      const args = ['--no-ask-password', 'show', ...PROPERTIES.map(property => `--property=${property}`)];
      const options = {env: environment, signal, timeout: TELLING_TIME};
      execFile(systemctl, [...args, '--', name], options, (error, stdout, stderr) => {
        if (signal?.aborted) reject(signal.reason as Error);
        else if (error) reject(refusal(title, `systemd can not be asked: ${stderr.trim() || error.message}`));
        else
          resolve(
            Object.fromEntries(
              stdout
                .trim()
                .split('\n')
                .map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
            ) as UnitState,
          );
      });
    });

  return {
    title,
    byHand: `systemctl ${way.restore} ${name}`,
    stop: act(way.stop, milliseconds),
    restore: act(way.restore, RESTORE_TIME),
    async look(signal) {
      const state = await ask(signal);
      if (state.LoadState !== 'loaded')
        throw refusal(title, `systemd has no such unit (LoadState=${state.LoadState})`);
      if (holdsUs(system, state.ControlGroup))
        throw refusal(title, 'this very process is in it, and would stop with it', [process.pid]);
      if (isStopped(how, state)) return false;
      if (how === 'stop' && state.FreezerState === 'frozen')
        throw refusal(title, 'somebody has frozen it; a start would not freeze it again');
      if (how === 'freeze' && state.CanFreeze === 'no') throw refusal(title, 'systemd can not freeze it');
      return true;
    },
    async acknowledge(signal) {
      const state = await ask(signal);
      if (isStopped(how, state))
        return `systemd says ${how === 'stop' ? `ActiveState=${state.ActiveState}` : way.sign}`;
      throw refusal(
        title,
        `systemctl ${way.stop} was done, but systemd says ActiveState=${state.ActiveState}, FreezerState=${state.FreezerState}`,
      );
    },
    laggards: () => [],
    async goesOn() {
      try {
        return !isStopped(how, await ask());
      } catch {
        return false;
      }
    },
  };
}
