/** Is every error documented as it is? docs/errors.md against the table, and the table against its use. */
import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import test from 'ava';
import {ERRORS, isLockError, LockError} from '../lib/errors.js';
import {errnoName, SystemError} from '../lib/os/system-error.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

test('docs/errors.md has exactly the errors of the table, with their exit statuses and texts', t => {
  const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `(ERR_\w+)` \| (\d+) \| (.*) \| (.*) \|$/gm)].map(
    ([, code, exit, meaning, advice]) => ({code, exit: Number(exit), meaning, advice}),
  );
  t.deepEqual(
    rows,
    Object.entries(ERRORS).map(([code, {exit, meaning, advice}]) => ({code, exit, meaning, advice})),
  );
});

test('every error of the table is used somewhere', t => {
  const texts = readdirSync(join(root, 'lib'), {recursive: true, encoding: 'utf8'})
    .filter(name => name.endsWith('.ts') && name !== 'errors.ts')
    .map(name => readFileSync(join(root, 'lib', name), 'utf8'))
    .join('\n');
  for (const code of Object.keys(ERRORS)) t.true(texts.includes(`'${code}'`), code);
});

test('an error carries its facts as fields, and its advice', t => {
  const error = new LockError('ERR_HOT', 'aim.conf: HOT', {lock: 'aim', epoch: 7});
  t.is(error.lock, 'aim');
  t.is(error.epoch, 7);
  t.is(error.advice, ERRORS.ERR_HOT.advice);
  t.true(isLockError(error, 'ERR_HOT'));
  t.false(isLockError(error, 'ERR_FENCED'));
});

test('errnos have their names, also those that node:os lacks', t => {
  t.is(errnoName(130), 'EOWNERDEAD');
  t.is(errnoName(-37), 'ENOLCK');
  t.is(errnoName(116), 'ESTALE');
  t.is(errnoName(11), 'EAGAIN');
  const error = new SystemError(-28, 'write', '/x');
  t.like(error, {code: 'ENOSPC', errno: -28, syscall: 'write', path: '/x'});
  t.regex(error.message, /^ENOSPC: no space left.*write '\/x'$/);
});
