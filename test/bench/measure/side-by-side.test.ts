import test from 'ava';
import {inNode, sideBySide, type Subject} from '../../../bench/measure/side-by-side.js';
import {scratch} from '../../helpers/scratch.js';

const MODULE = new URL('../../fixtures/bench-operations.js', import.meta.url).href;
const EFFORT = {rounds: 3, batch: 1, smoke: true};

function once(subject: Subject): Subject {
  return {...subject, once: true, start: path => subject.start(path)};
}

test('each subject has one figure a round', async t => {
  const {rows, absent} = await sideBySide(
    scratch(t).directory,
    [inNode(MODULE, 'nothing'), inNode(MODULE, 'nothing, promised')],
    EFFORT,
  );
  t.deepEqual([...rows.keys()], ['nothing', 'nothing, promised']);
  for (const figures of rows.values()) t.is(figures.filter(figure => figure > 0).length, 3);
  t.is(absent.size, 0);
});

test('who does not start, or fails in a round, is absent with what it said; the others are measured', async t => {
  const {rows, absent} = await sideBySide(
    scratch(t).directory,
    [inNode(MODULE, 'never ready'), once(inNode(MODULE, 'twice')), inNode(MODULE, 'nothing')],
    EFFORT,
  );
  t.deepEqual([...rows.keys()], ['nothing']);
  t.is(rows.get('nothing')?.length, 3);
  t.deepEqual([...absent.keys()], ['never ready', 'twice']);
  t.regex(absent.get('never ready') ?? '', /it is not installed/);
  t.regex(absent.get('twice') ?? '', /the third time/);
});

test('what takes long is done once a round, and once before', async t => {
  const {rows} = await sideBySide(scratch(t).directory, [once(inNode(MODULE, 'four times'))], EFFORT);
  t.is(rows.get('four times')?.length, 3);
});
