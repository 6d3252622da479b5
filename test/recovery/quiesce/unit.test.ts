/** Is a unit of a real systemd frozen or stopped, by the word of systemd, and does it go on whatever happens? */
import test, {type ExecutionContext} from 'ava';
import type {QuiesceSpec} from '../../../lib/recovery/quiesce/spec.js';
import {type Actor, actor} from '../../helpers/actor.js';
import {inside} from '../../helpers/cgroup.js';
import {testWith} from '../../helpers/here.js';
import {openScratch, type Scratch, scratch} from '../../helpers/scratch.js';
import {noSystemd, startSystemd, type Systemd} from '../../helpers/systemd.js';

const LONG = 60_000;
const SERVICE = 'aim.service';

const freeze = (unit = SERVICE): QuiesceSpec => ({kind: 'unit', unit, how: 'freeze'});
const stop = (unit = SERVICE): QuiesceSpec => ({kind: 'unit', unit, how: 'stop'});

/** A systemd with a service that runs, and a holder among its processes. */
async function scene(t: ExecutionContext): Promise<{
  place: Scratch;
  systemd: Systemd;
  holder: Actor;
}> {
  const place = scratch(t);
  const systemd = await startSystemd(t, place.directory);
  systemd.define(SERVICE, '[Service]\nExecStart=/bin/sleep infinity\n');
  systemd.ctl('start', SERVICE);
  return {place, systemd, holder: await actor(t, place, systemd.inside)};
}

testWith(noSystemd, 'it is frozen, then stopped, by the word of systemd, and goes on afterwards', async t => {
  const {systemd, holder} = await scene(t);
  const frozen = await holder.do('hold', {for: LONG, quiesce: [freeze()]});
  t.like(frozen, {
    acknowledgements: [{adapter: `unit ${SERVICE}`, what: 'systemd says FreezerState=frozen'}],
  });
  t.is(systemd.show(SERVICE, 'FreezerState'), 'frozen');
  t.is((await holder.do('end-hold')).error, undefined);
  t.is(systemd.show(SERVICE, 'FreezerState'), 'running');
  const stopped = await holder.do('hold', {for: LONG, quiesce: [stop()]});
  t.like(stopped, {acknowledgements: [{what: 'systemd says ActiveState=inactive'}]});
  t.is(systemd.show(SERVICE, 'ActiveState'), 'inactive');
  t.is((await holder.do('end-hold')).error, undefined);
  t.is(systemd.show(SERVICE, 'ActiveState'), 'active');
});

testWith(noSystemd, 'what was stopped or frozen before us stays so after us', async t => {
  const {systemd, holder} = await scene(t);
  systemd.ctl('freeze', SERVICE);
  t.is((await holder.do('hold', {for: LONG, quiesce: [freeze()]})).error, undefined);
  t.is((await holder.do('end-hold')).error, undefined);
  t.is(systemd.show(SERVICE, 'FreezerState'), 'frozen');
  const refused = await holder.do('hold', {for: LONG, quiesce: [stop()]});
  t.regex(String(refused['message']), /somebody has frozen it; a start would not freeze it again/);
  t.is(systemd.show(SERVICE, 'FreezerState'), 'frozen');
  systemd.ctl('thaw', SERVICE);
  systemd.ctl('stop', SERVICE);
  for (const way of [stop(), freeze()]) {
    const {acknowledgements} = await holder.do('hold', {for: LONG, quiesce: [way]});
    t.like(acknowledgements, [{what: 'somebody else has stopped it, and it stays so'}]);
    t.is((await holder.do('end-hold')).error, undefined);
    t.is(systemd.show(SERVICE, 'ActiveState'), 'inactive');
  }
});

testWith(
  noSystemd,
  'a unit that is not there, or has us in it, is refused before anything is changed',
  async t => {
    const {place, systemd, holder} = await scene(t);
    const none = await holder.do('hold', {for: LONG, quiesce: [stop('none.service')]});
    t.is(none.error, 'ERR_QUIESCE_REFUSED');
    t.regex(String(none['message']), /no such unit/);
    const group = `/sys/fs/cgroup${systemd.show(SERVICE, 'ControlGroup')}`;
    const insider = await actor(t, place, [...systemd.inside, ...inside(group)]);
    for (const way of [stop(), freeze()]) {
      const refused = await insider.do('hold', {for: LONG, quiesce: [way]});
      t.is(refused.error, 'ERR_QUIESCE_REFUSED');
      t.regex(String(refused['message']), /this very process is in it/);
    }
    t.is(systemd.show(SERVICE, 'ActiveState'), 'active');
    t.is(systemd.show(SERVICE, 'FreezerState'), 'running');
  },
);

testWith(noSystemd, 'its holder is killed, or stopped until the deadline: the unit goes on', async t => {
  const {place, systemd, holder} = await scene(t);
  t.is((await holder.do('hold', {for: LONG, quiesce: [freeze()]})).error, undefined);
  t.is(systemd.show(SERVICE, 'FreezerState'), 'frozen');
  await holder.kill();
  const config = await openScratch(place);
  (await config.enter()).leave();
  t.is(systemd.show(SERVICE, 'FreezerState'), 'running');
  const second = await actor(t, place, systemd.inside);
  t.is((await second.do('hold', {for: LONG, quiesce: [stop()]})).error, undefined);
  t.is(systemd.show(SERVICE, 'ActiveState'), 'inactive');
  await second.kill();
  (await config.enter()).leave();
  t.is(systemd.show(SERVICE, 'ActiveState'), 'active');
});

testWith(
  noSystemd,
  'a unit that somebody starts again at once was not stopped, whatever systemctl says',
  async t => {
    const {systemd, holder} = await scene(t);
    systemd.define(
      'keeper.service',
      `[Unit]\nUpholds=${SERVICE}\n[Service]\nExecStart=/bin/sleep infinity\n`,
    );
    systemd.ctl('start', 'keeper.service');
    const refused = await holder.do('hold', {for: LONG, quiesce: [stop()]});
    t.is(refused.error, 'ERR_QUIESCE_REFUSED');
    t.regex(String(refused['message']), /systemctl stop was done, but systemd says ActiveState=/);
    t.is(systemd.show(SERVICE, 'ActiveState'), 'active');
  },
);

testWith(noSystemd, 'a unit that does not start again is told of, with what to do by hand', async t => {
  const {systemd, holder} = await scene(t);
  t.is((await holder.do('hold', {for: LONG, quiesce: [stop()]})).error, undefined);
  systemd.define(SERVICE, '[Service]\nType=oneshot\nExecStart=/bin/false\n');
  const ended = await holder.do('end-hold');
  t.is(ended.error, 'ERR_RESTORE_FAILED');
  t.regex(
    String(ended['message']),
    /unit aim\.service \(it exited with code 1; by hand: systemctl start aim\.service\)/,
  );
});

test('where systemd does not run, that is what is said', async t => {
  const config = await openScratch(scratch(t));
  const changes = {...config.system, env: {...config.system.env, PATH: '/none'}};
  const error = await t.throwsAsync(
    Object.assign(config, {system: changes}).hold({for: LONG, quiesce: [freeze('none.service')]}),
    {code: 'ERR_QUIESCE_REFUSED'},
  );
  t.regex(error?.message ?? '', /systemd can not be asked|no such unit/);
});
