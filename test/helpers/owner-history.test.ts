/** Is a verdict contradicted exactly when nothing that the harness knows can make it true? */
import test from 'ava';
import type {State} from '../../lib/recovery/verdict.js';
import {contradiction, type History, type Life, type Said} from './owner-history.js';

/** An owner that is asked for at 10, owns from 20, is killed at 30, is gone at 40; recovered from 50 to 60. */
const DIED: Life = {
  kind: 'is killed',
  identity: 'pidfd:1',
  epoch: 7,
  asked: 10n,
  owned: 20n,
  stops: [{begins: {from: 22n, to: 23n}, ends: {from: 25n, to: 26n}}],
  heldUntil: 30n,
  goneSince: 40n,
  end: {begun: 50n, clearing: 55n, done: 60n},
};
const PAST: History = {
  lives: [DIED],
  recoveries: [{identity: 'pidfd:9', epoch: 8, begun: 50n, clearing: 55n, done: 60n}],
  hadGuard: new Set([1, 9]),
};

const SAID: [State, bigint, bigint, boolean, Partial<Said>?][] = [
  ['FREE', 15n, 20n, true],
  ['FREE', 21n, 54n, false],
  ['FREE', 21n, 55n, true],
  ['DEAD', 10n, 29n, false],
  ['DEAD', 10n, 30n, true],
  ['DEAD', 60n, 70n, true],
  ['DEAD', 61n, 70n, false],
  ['DEAD', 41n, 45n, false, {identity: 'pidfd:2'}],
  ['DEAD', 41n, 45n, false, {epoch: 8}],
  ['ALIVE', 1n, 9n, false],
  ['ALIVE', 1n, 10n, true],
  ['ALIVE', 40n, 45n, true],
  ['ALIVE', 41n, 45n, false],
  ['ALIVE', 41n, 50n, true],
  ['ALIVE', 41n, 50n, false, {holders: []}],
  ['ALIVE', 61n, 65n, false],
  ['ALIVE', 24n, 25n, false],
  ['ALIVE', 24n, 26n, true],
  ['ALIVE', 21n, 22n, false, {holders: [1, 2]}],
  ['ALIVE', 21n, 22n, false, {identity: 'pidfd:2'}],
  ['FROZEN', 20n, 21n, false],
  ['FROZEN', 20n, 22n, true],
  ['FROZEN', 27n, 30n, false],
  ['UNKNOWN', 1n, 99n, true],
];

for (const [state, before, after, isTrue, more] of SAID) {
  const told = more ? ` of ${JSON.stringify(more)}` : '';
  test(`${state} between ${before} and ${after}${told} is ${isTrue ? 'no' : 'a'} contradiction`, t => {
    const said = {state, identity: 'pidfd:1', epoch: 7, holders: [1], before, after, ...more};
    t.is(contradiction(PAST, said) === undefined, isTrue);
  });
}
