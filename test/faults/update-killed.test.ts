/** What if the owner is killed at any system call of an update? The file is old or new, whole; recovery makes it consistent and free. */
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {dirname} from 'node:path';
import {NEW, OLD, openScratch, scratch} from '../helpers/scratch.js';
import {forEachCall, runStepped, steppedTest} from '../helpers/stepped.js';

steppedTest(
  'an owner killed at every system call of its update leaves the old or the new file, and a lock that can be recovered',
  async t => {
    const place = scratch(t);
    const config = await openScratch(place);
    const seen: Record<string, number> = {};
    let epoch = config.bit.epoch();
    const points = await forEachCall(
      t,
      n => {
        writeFileSync(place.file, OLD);
        return runStepped(t, 'stepped-update', {...place, content: NEW}, n, 'kill');
      },
      async ({outcome, exit}) => {
        await exit;
        const where = `killed at ${outcome.kind === 'killed' ? `${outcome.count}, ${outcome.call}` : outcome.kind}`;
        const content = readFileSync(place.file, 'utf8');
        t.true(content === OLD || content === NEW, where);
        const {state} = await config.examine();
        t.true(state === 'DEAD' || state === 'FREE', `${where}: ${state}`);
        const result = state === 'DEAD' ? (await config.recover()).outcome : 'free';
        if (result === 'rolled-forward') t.is(content, NEW, where);
        if (result === 'rolled-back') t.is(content, OLD, where);
        t.is(readFileSync(place.file, 'utf8'), content, `${where}: recovery changes no content`);
        t.is((await config.examine()).state, 'FREE', where);
        t.deepEqual(readdirSync(dirname(place.file)), ['aim_lock_config.conf'], where);
        const next = await config.acquire();
        t.true(next.epoch > epoch, where);
        epoch = next.epoch;
        await next.release();
        const key = `${state} ${result} ${content === NEW ? 'new' : 'old'}`;
        seen[key] = (seen[key] ?? 0) + 1;
      },
    );
    t.log(`${points} calls: ${JSON.stringify(seen)}`);
    t.true(points > 50);
    for (const key of ['FREE free old', 'DEAD rolled-back old', 'DEAD rolled-forward new', 'FREE free new'])
      t.true((seen[key] ?? 0) > 0, `${key} was met`);
  },
);
