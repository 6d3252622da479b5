import test from 'ava';
import {TapRelay, TapReport} from './tap.js';

function recorded() {
  const lines: string[] = [];
  return {lines, report: new TapReport(line => lines.push(line))};
}

const AVA = [
  'TAP version 13',
  'ok 1 - a › passes',
  '#   a log line',
  'not ok 2 - a › fails',
  '  ---',
  '    message: why',
  '  ...',
  'ok 3 - a › is skipped # SKIP',
  'not ok 4 - a › is to be written # TODO',
  '',
  '1..4',
  '# tests 4',
  '# pass 1',
  '# skip 1',
  '# fail 1',
  '',
];

test('two streams become one, with one numbering, prefixes and diagnostics', t => {
  const {lines, report} = recorded();
  const outside = new TapRelay(report);
  const inside = new TapRelay(report, 'vm › ');
  for (const relay of [outside, inside]) for (const line of AVA) relay.push(line);
  t.is(report.end(false), 1);
  const results = (prefix: string, first: number) => [
    `ok ${first} - ${prefix}a › passes`,
    '#   a log line',
    `not ok ${first + 1} - ${prefix}a › fails`,
    '  ---',
    '    message: why',
    '  ...',
    `ok ${first + 2} - ${prefix}a › is skipped # SKIP`,
    `not ok ${first + 3} - ${prefix}a › is to be written # TODO`,
  ];
  t.deepEqual(lines, [
    'TAP version 13',
    ...results('', 1),
    ...results('vm › ', 5),
    '1..8',
    '2 passed, 2 failed, 4 skipped',
  ]);
});

test('a failed test whose title says "# SKIP" is a failed test', t => {
  const {report} = recorded();
  new TapRelay(report).push('not ok 1 - a › throws # SKIP');
  t.deepEqual(report.counts, {passed: 0, failed: 1, skipped: 0});
});

test('a stream that has not come to its plan may be cut off', t => {
  const {report} = recorded();
  const relay = new TapRelay(report);
  for (const line of AVA.slice(0, -6)) {
    relay.push(line);
    t.false(relay.complete, line);
  }
  for (const line of AVA.slice(-6)) relay.push(line);
  t.true(relay.complete);
});

test('a relay knows whether something failed in its own stream', t => {
  const {report} = recorded();
  report.fail('before', {message: 'why'});
  const relay = new TapRelay(report);
  relay.push('ok 1 - passes');
  t.false(relay.failed);
  relay.push('not ok 2 - fails');
  t.true(relay.failed);
});

test('details are YAML: one line quoted, several as a block', t => {
  const {lines, report} = recorded();
  report.fail('fails', {message: 'say "why": #1', console: 'first\n  second'});
  t.deepEqual(lines.slice(1), [
    'not ok 1 - fails',
    '  ---',
    '    message: "say \\"why\\": #1"',
    '    console: |-',
    '      first',
    '        second',
    '  ...',
  ]);
});

test('the last line has the counts alone, and the status tells of failures', t => {
  const end = (fill: (report: TapReport) => void, inCi = false) => {
    const {lines, report} = recorded();
    fill(report);
    return [report.end(inCi), lines.at(-1)];
  };
  const skipping = (report: TapReport) => {
    report.pass('passes');
    report.skip('is skipped', 'no root');
  };
  t.deepEqual(
    end(report => report.pass('passes')),
    [0, '1 passed, 0 failed'],
  );
  t.deepEqual(end(skipping), [0, '1 passed, 0 failed, 1 skipped']);
  t.deepEqual(end(skipping, true), [1, '1 passed, 0 failed, 1 skipped'], 'in CI all must run');
  t.deepEqual(
    end(() => undefined),
    [1, '0 passed, 0 failed'],
    'no tests is no success',
  );
});
