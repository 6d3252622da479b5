/** May only those break the glass whom the policy names, root, or by default the owner's own user? */
import {execFileSync, spawnSync} from 'node:child_process';
import {chmodSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import test, {type ExecutionContext} from 'ava';
import {idOf} from '../../lib/recovery/permission.js';
import {actor} from '../helpers/actor.js';
import {testAsRoot} from '../helpers/here.js';
import {openScratch, scratch} from '../helpers/scratch.js';

const PROGRAM = fileURLToPath(new URL('../fixtures/break-glass.js', import.meta.url));

/** What nobody is told who tries it on the lock of a dead root, all of whose files he may write. */
async function asNobody(t: ExecutionContext, allowed?: readonly string[]): Promise<string> {
  const place = scratch(t);
  const config = await openScratch(place);
  const owner = await actor(t, place);
  const {epoch} = await owner.do('acquire');
  await owner.kill();
  t.is((await config.examine()).state, 'DEAD');
  chmodSync(place.directory, 0o755);
  execFileSync('chown', ['-R', 'nobody:nogroup', place.directory]);
  const {roots} = place;
  // Its own group is nogroup; it is one of the users as well (base-passwd).
  const who = {uid: 65534, groups: [65534, 100]};
  const order = {name: config.name, roots, ...who, owner: owner.pid, epoch, reason: 'drill', allowed};
  const {stdout, stderr} = spawnSync(process.execPath, [PROGRAM, JSON.stringify(order)], {encoding: 'utf8'});
  t.log(stderr);
  return stdout.trim().replace(/:.*/s, '');
}

const ASKED: readonly (readonly [allowed: readonly string[] | undefined, answer: string])[] = [
  [undefined, 'ERR_NOT_PERMITTED'],
  [[], 'ERR_NOT_PERMITTED'],
  [['root', '@root', 'no-such-user', '@no-such-group', 'nogroup', '@nobody'], 'ERR_NOT_PERMITTED'],
  [['root', 'nobody'], 'ALL CLEAR'],
  [['@nogroup'], 'ALL CLEAR'],
  [['@users'], 'ALL CLEAR'],
];

for (const [allowed, answer] of ASKED) {
  testAsRoot(`nobody, where the policy names ${allowed?.join(', ') ?? 'nobody'}: ${answer}`, async t => {
    t.is(await asNobody(t, allowed), answer);
  });
}

test('names are looked up here, and then where getent(1) looks', async t => {
  t.is(await idOf('root'), 0);
  t.is(await idOf('@root'), 0);
  t.is(await idOf('no-such-user'), undefined);
  t.is(await idOf('@no-such-group'), undefined);
});

test('a name is no pattern, and no beginning of another', async t => {
  for (const name of ['roo', 'r.*t', 'root:x', '']) t.is(await idOf(name), undefined, name);
});
