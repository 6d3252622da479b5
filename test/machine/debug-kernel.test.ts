import test from 'ava';
import {missingSettings} from './debug-kernel.js';

const FRAGMENT = ['# why', 'CONFIG_KASAN=y', 'CONFIG_NR_CPUS=4', 'CONFIG_VT=n', ''].join('\n');

test('a kernel that has what the fragment says', t => {
  const config = ['CONFIG_KASAN=y', '# CONFIG_VT is not set', 'CONFIG_NR_CPUS=4', 'CONFIG_MORE=y'];
  t.deepEqual(missingSettings(FRAGMENT, config.join('\n')), []);
});

test('settings that something else stands in the way of', t => {
  const config = ['# CONFIG_KASAN is not set', 'CONFIG_NR_CPUS=64', 'CONFIG_VT=y'];
  t.deepEqual(missingSettings(FRAGMENT, config.join('\n')), [
    'CONFIG_KASAN=y',
    'CONFIG_NR_CPUS=4',
    'CONFIG_VT=n',
  ]);
});
