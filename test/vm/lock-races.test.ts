/** Is there one owner at a time when many want the bit at once, and does nobody see it clear in between? */
import test from 'ava';
import {makeLock} from './helpers/locks.js';
import {runProgram} from './helpers/program.js';

test.serial(
  'of 32 processes that race for a bit, one gets it, 10,000 times, at epochs that grow',
  async t => {
    const lock = makeLock(t);
    const raced = await runProgram('race', lock.directory, 'set', 32, 10_000);
    t.log(JSON.stringify(raced));
    t.like(raced, {rounds: 10_000, refusals: 310_000});
    t.like(lock.state, {bit: '0', owner: 'none'});
  },
);

test.serial('of 32 processes that race to take a bit from the dead, one gets it', async t => {
  const lock = makeLock(t);
  const raced = await runProgram('race', lock.directory, 'handover', 32, 300);
  t.log(JSON.stringify(raced));
  t.like(raced, {rounds: 300, refusals: 9_300});
});

test.serial('a bit that is handed over 2,000 times never reads 0', async t => {
  const lock = makeLock(t);
  const handed = await runProgram('handovers', lock.directory, 2_000);
  t.log(JSON.stringify(handed));
  t.true((handed['reads'] ?? 0) > 2_000);
  t.is(handed['zeros'], 0);
});

test.serial('an owner never seems dead while a thread of it calls exec', async t => {
  const lock = makeLock(t);
  const seen = await runProgram('execs', lock.directory, 200);
  t.log(JSON.stringify(seen));
  t.true((seen['reads'] ?? 0) > 200);
  t.is(seen['dead'], 0);
});

for (const file of ['conf_locked', 'owner'])
  test.serial(`who polls ${file} is woken each time that an owner is killed`, async t => {
    const lock = makeLock(t);
    const told = await runProgram('deaths', lock.directory, file, 50);
    t.log(JSON.stringify(told));
    t.is(told['deaths'], 50);
  });
