/** What if the owner is frozen at any system call of an update, and the glass is broken? It is fenced, and the file keeps the newer content. */
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {dirname} from 'node:path';
import {NEW, OLD, openScratch, scratch} from '../helpers/scratch.js';
import {forEachCall, runStepped, steppedTest} from '../helpers/stepped.js';

const NEWER = 'gain = 11\n';

steppedTest('an owner frozen at every system call of its update is fenced by break-glass', async t => {
  const place = scratch(t);
  const config = await openScratch(place);
  const seen: Record<string, number> = {};
  const points = await forEachCall(
    t,
    n => {
      writeFileSync(place.file, OLD);
      return runStepped(t, 'stepped-update', {...place, content: NEW}, n, 'stop');
    },
    async ({outcome, child, result, exit}) => {
      const where = `stopped at ${outcome.kind === 'stopped' ? `${outcome.count}, ${outcome.call}` : outcome.kind}`;
      const verdict = await config.examine();
      const mayBreak = verdict.owner !== null && verdict.state !== 'FREE';
      if (mayBreak) {
        t.is(verdict.state, 'FROZEN', where);
        t.is(verdict.owner?.pid, child.pid ?? 0, where);
        await config.breakGlass({owner: child.pid ?? 0, epoch: verdict.epoch ?? 0, reason: 'frozen'});
        t.is((await config.examine()).state, 'FREE', where);
        await config.update(() => NEWER);
      }
      child.kill('SIGCONT');
      const came = await result;
      await exit;
      t.is(came, mayBreak ? 'ERR_FENCED' : 'updated', where);
      t.is(readFileSync(place.file, 'utf8'), mayBreak ? NEWER : NEW, where);
      t.is((await config.examine()).state, 'FREE', where);
      t.deepEqual(readdirSync(dirname(place.file)), ['aim_lock_config.conf'], where);
      const key = `${verdict.state}${mayBreak ? ', fenced' : ''}`;
      seen[key] = (seen[key] ?? 0) + 1;
    },
  );
  t.log(`${points} calls: ${JSON.stringify(seen)}`);
  t.true((seen['FROZEN, fenced'] ?? 0) > 20);
});
