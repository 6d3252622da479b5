/** What if an agent is killed at any system call that changes something, in an apply or a roll-back? The file is old or new, whole; what it has written down tells the next one the rest. */
import {readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {dirname} from 'node:path';
import type {ExecutionContext} from 'ava';
import {apply, findApplied} from '../../lib/fleet/apply.js';
import {Reservation} from '../../lib/fleet/reservation.js';
import {rollBack} from '../../lib/fleet/roll-back.js';
import {NEW, OLD, openScratch, scratch} from '../helpers/scratch.js';
import {taskOn, type TestTask} from '../helpers/fleet-task.js';
import {forEachCall, runStepped, steppedTest} from '../helpers/stepped.js';

/** What changes something that outlives the process. Between two of these nothing differs for whoever comes next. */
const CHANGES = ['write', 'pwrite64', 'fsync', 'ftruncate', 'rename', 'unlink', 'mkdir', 'fcntl'];

function reserved({rollout, lock}: TestTask): Reservation {
  return new Reservation(rollout, lock, 600_000);
}

async function assertClean(
  t: ExecutionContext,
  task: TestTask,
  content: string,
  where: string,
): Promise<void> {
  const {config} = task;
  t.is(readFileSync(config.file, 'utf8'), content, where);
  t.is((await config.examine()).state, 'FREE', where);
  t.deepEqual(readdirSync(dirname(config.file)), ['aim_lock_config.conf'], where);
}

for (const then of ['apply', 'roll back'] as const) {
  steppedTest(`killed before every change that an apply makes, the next agent can ${then}`, async t => {
    const place = scratch(t);
    const task = taskOn(await openScratch(place));
    const seen: Record<string, number> = {};
    const points = await forEachCall(
      t,
      async n => {
        writeFileSync(place.file, OLD);
        rmSync(task.state.directory, {recursive: true, force: true});
        await task.state.keepNext(Buffer.from(NEW));
        return runStepped(t, 'stepped-apply', {...place, back: false}, n, 'kill', CHANGES);
      },
      async ({outcome, exit}) => {
        await exit;
        const where = `killed at ${outcome.kind === 'killed' ? `${outcome.count}, ${outcome.call}` : outcome.kind}`;
        const content = readFileSync(place.file, 'utf8');
        t.true(content === OLD || content === NEW, where);
        const {ino} = statSync(place.file);
        const {state} = await task.config.examine();
        if (then === 'roll back') await rollBack(task);
        else if (!(await findApplied(task))) await apply(task, reserved(task));
        if (then === 'apply' && content === NEW)
          t.is(statSync(place.file).ino, ino, `${where}: no second rename`);
        await assertClean(t, task, then === 'apply' ? NEW : OLD, where);
        const key = `${state} ${content === NEW ? 'new' : 'old'}`;
        seen[key] = (seen[key] ?? 0) + 1;
      },
    );
    t.log(`${points} calls: ${JSON.stringify(seen)}`);
    for (const key of ['FREE old', 'DEAD old', 'DEAD new', 'FREE new'])
      t.true((seen[key] ?? 0) > 0, `${key} was met`);
  });
}

steppedTest('killed before every change that a roll-back makes, the next agent finishes it', async t => {
  const place = scratch(t);
  const task = taskOn(await openScratch(place));
  const seen: Record<string, number> = {};
  const points = await forEachCall(
    t,
    async n => {
      writeFileSync(place.file, OLD);
      rmSync(task.state.directory, {recursive: true, force: true});
      await task.state.keepNext(Buffer.from(NEW));
      await apply(task, reserved(task));
      return runStepped(t, 'stepped-apply', {...place, back: true}, n, 'kill', CHANGES);
    },
    async ({outcome, exit}) => {
      await exit;
      const where = `killed at ${outcome.kind === 'killed' ? `${outcome.count}, ${outcome.call}` : outcome.kind}`;
      const content = readFileSync(place.file, 'utf8');
      t.true(content === OLD || content === NEW, where);
      await rollBack(task);
      await assertClean(t, task, OLD, where);
      seen[content === NEW ? 'new' : 'old'] = (seen[content === NEW ? 'new' : 'old'] ?? 0) + 1;
    },
  );
  t.log(`${points} calls: ${JSON.stringify(seen)}`);
  t.true((seen['new'] ?? 0) > 0 && (seen['old'] ?? 0) > 0);
});
