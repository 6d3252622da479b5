import test from 'ava';
import {parseDuration, parseEpoch, parseSeconds, parseStatus, showDuration} from '../../lib/cli/units.js';

test('a duration is a number with its unit, or seconds', t => {
  const cases: [string, number][] = [
    ['90s', 90_000],
    ['500ms', 500],
    ['2m', 120_000],
    ['1.5h', 5_400_000],
    ['3', 3000],
  ];
  for (const [text, milliseconds] of cases) t.is(parseDuration(text), milliseconds, text);
});

test('what is no duration, number of seconds, status or epoch is refused', t => {
  for (const text of ['', 's', '-1s', '1 s', '1d', 'soon'])
    t.throws(() => parseDuration(text), undefined, text);
  for (const text of ['', '.', '-1', '1s', '1e3', '2147484'])
    t.throws(() => parseSeconds(text), undefined, text);
  for (const text of ['', '256', '-1', '1.5', 'x']) t.throws(() => parseStatus(text), undefined, text);
  for (const text of ['', '-1', '1.5', '9007199254740993', 'x'])
    t.throws(() => parseEpoch(text), undefined, text);
});

test('seconds may have decimals, as flock(1) takes them', t => {
  t.is(parseSeconds('0.5'), 500);
  t.is(parseSeconds('.25'), 250);
  t.is(parseSeconds('10'), 10_000);
});

test('a duration is shown with as many digits as people read', t => {
  const cases: [number, string][] = [
    [1.23, '1.2 ms'],
    [310.4, '310 ms'],
    [90_000, '90 s'],
    [12 * 60_000, '12 min'],
    [5 * 3_600_000, '5 h'],
    [3 * 86_400_000, '3 days'],
  ];
  for (const [milliseconds, text] of cases) t.is(showDuration(milliseconds), text);
});
