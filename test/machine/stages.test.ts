import test from 'ava';
import {splitStages} from './stages.js';

const PLAIN = 'dist/test/vm/boot.test.js';
const SYSTEMD = 'dist/test/vm/systemd/service.test.js';

test('without arguments, everything runs', t => {
  t.deepEqual(splitStages([]), {plain: [], systemd: []});
});

test('files run where they belong, with all options', t => {
  t.deepEqual(splitStages(['--match=*a*', SYSTEMD, PLAIN]), {
    plain: ['--match=*a*', PLAIN],
    systemd: ['--match=*a*', SYSTEMD],
  });
  t.deepEqual(splitStages([PLAIN]), {plain: [PLAIN]});
  t.deepEqual(splitStages([SYSTEMD]), {systemd: [SYSTEMD]});
});

test('options alone are not for systemd', t => {
  t.deepEqual(splitStages(['--match=*a*']), {plain: ['--match=*a*']});
});
