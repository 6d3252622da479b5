/** Is a path that is not text shown without a loss? */
import test from 'ava';
import {pathText, pathTexts} from '../../lib/os/path-text.js';

const LATIN1 = Buffer.from('/etc/caf\xe9', 'latin1');

test('a path that is UTF-8 is shown as it is, and each byte of any other by its number', t => {
  t.is(pathText(Buffer.from('/etc/café\n')), '/etc/café\n');
  t.is(pathText(LATIN1), '/etc/caf\\xe9');
});

test('one path that is not UTF-8 changes none of the others', t => {
  const nul = Buffer.from([0]);
  t.deepEqual(pathTexts(Buffer.concat([Buffer.from('/é'), nul, LATIN1, nul, nul])), [
    '/é',
    '/etc/caf\\xe9',
    '',
  ]);
  t.deepEqual(pathTexts(Buffer.concat([Buffer.from('/é'), nul, nul])), ['/é', '']);
  t.deepEqual(pathTexts(Buffer.alloc(0)), []);
});
