import test from 'ava';
import {guardedBench, HOT, occupy} from '../../helpers/cli.js';

test('a clear bit is 0 and status 0', async t => {
  const made = await guardedBench(t);
  t.like(await made.run(['bit', made.name]), {code: 0, stdout: '0\n', stderr: ''});
  t.like(await made.json('bit', made.name), {name: made.name, file: made.file, kind: 'soft', value: 0});
});

test('a bit set by hand stays set, says HOT to everybody, and is cleared by the safe release', async t => {
  const made = await guardedBench(t);
  const set = await made.run(['bit', made.name, '1', '--purpose', 'maintenance']);
  t.like(set, {code: 0, stdout: '1\n'});
  t.true(set.stderr.includes('on purpose'));
  const shown = await made.run(['bit', made.name]);
  t.like(shown, {code: 1, stdout: '1\n'});
  t.is(shown.stderr.split('\n')[0], HOT);
  t.true(shown.stderr.includes('maintenance'));
  t.is((await made.run(['bit', made.name, '1'])).code, 1);
  const cleared = await made.run(['bit', made.name, '0']);
  t.is(cleared.code, 0);
  t.true(cleared.stdout.includes('ALL CLEAR'));
  t.is((await made.run(['bit', made.name, '0'])).code, 0);
  t.like(await made.run(['bit', made.name]), {code: 0, stdout: '0\n'});
});

test('the bit of a living owner can neither be set nor cleared', async t => {
  const made = await guardedBench(t);
  const {finish} = await occupy(made);
  for (const value of ['0', '1']) t.is((await made.run(['bit', made.name, value])).code, 1);
  t.is((await finish()).code, 0);
});
