/** Does the entry apply that means a lock most exactly, setting by setting? */
import test from 'ava';
import {applyPolicy} from '../../../lib/recovery/policy/match.js';
import {parseText} from '../../../lib/recovery/policy/parse.js';

function entries(text: string) {
  const {entries: found, problems} = parseText('aim.yaml', `locks:\n${text}`);
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  return found;
}

test('a name beats every pattern, and a pattern with more letters one with fewer, wherever they stand', t => {
  const said = entries(`
  aim_l*: {hold: 2s}
  aim_lock_config: {hold: 1s}
  "*": {hold: 4s}
  "*_config": {hold: 3s}
`);
  const hold = (lock: string) => applyPolicy(said, lock).settings.hold;
  t.is(hold('aim_lock_config'), 1000);
  t.is(hold('aim_lock_other'), 2000);
  t.is(hold('other_config'), 3000);
  t.is(hold('else'), 4000);
});

test('each setting comes from the most exact entry that has it, with its place', t => {
  const said = entries(`
  "*": {hold: 4s, canary: 3, recover: automatic}
  aim: {hold: 1s}
`);
  const {settings, places} = applyPolicy(said, 'aim');
  t.deepEqual(settings, {hold: 1000, canary: 3, recover: 'automatic'});
  t.is(places.get('hold')?.line, 4);
  t.is(places.get('canary')?.line, 3);
});

test('a star stands for any letters, a point for itself', t => {
  const said = entries('  a.*.c*: {hold: 1s}\n');
  for (const name of ['a.b.c', 'a..c', 'a.x.y.cde']) t.is(applyPolicy(said, name).settings.hold, 1000, name);
  for (const name of ['axb.c', 'a.bc', 'xa.b.c'])
    t.is(applyPolicy(said, name).settings.hold, undefined, name);
});

test('two patterns with as many letters that say the same setting are refused, and both are named', t => {
  const said = entries(`
  aim*: {hold: 1s}
  "*fig": {hold: 2s}
`);
  const error = t.throws(() => applyPolicy(said, 'aim_config'), {code: 'ERR_POLICY'});
  t.true(error?.message.includes('aim* (aim.yaml:3)') && error.message.includes('*fig (aim.yaml:4)'));
  t.is(applyPolicy(said, 'aim').settings.hold, 1000);
});

test('two such patterns that say different things agree', t => {
  const said = entries(`
  aim*: {hold: 1s}
  "*fig": {canary: 2}
`);
  t.deepEqual(applyPolicy(said, 'aim_config').settings, {hold: 1000, canary: 2});
});

test('nothing is said of a lock that no entry fits', t => {
  const {settings, places} = applyPolicy(entries('  aim: {hold: 1s}\n'), 'bim');
  t.deepEqual(settings, {});
  t.is(places.size, 0);
});
