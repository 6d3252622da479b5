/** Is everybody's turn the right one, however many wait, and whoever gives up? */
import {setMaxListeners} from 'node:events';
import test from 'ava';
import {type Range, type Turn, WaitQueues} from '../../lib/os/wait-queue.js';

const queues = new WaitQueues();

const WHOLE: Range = {start: 0, length: 0};
const PART: Range = {start: 0, length: 50};

/** One request: acts until it is told to end. */
class Request {
  acting = false;
  readonly ended: Promise<unknown>;
  readonly turn: Turn;
  readonly #abort = new AbortController();
  #finish: () => void = () => undefined;

  constructor(turn: Omit<Turn, 'signal'>) {
    this.turn = {...turn, signal: this.#abort.signal};
    const act = () =>
      new Promise<void>(resolve => {
        this.acting = true;
        this.#finish = resolve;
      });
    this.ended = queues.enqueue(this.turn, act).catch((error: unknown) => error);
  }

  async finish(): Promise<void> {
    this.#finish();
    await this.ended;
  }

  async abort(): Promise<void> {
    this.#abort.abort(new Error('gone'));
    await this.ended;
  }
}

const turnOfTheLoop = () => new Promise(resolve => setImmediate(resolve));

function conflict(a: Turn, b: Turn): boolean {
  const end = ({start, length}: Range) => (length === 0 ? Number.POSITIVE_INFINITY : start + length);
  const apart = end(a.range) <= b.range.start || end(b.range) <= a.range.start;
  return !apart && !(a.shared && b.shared);
}

test('of random requests those act, and only those, that conflict with none before them', async t => {
  let seed = 1;
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const waiting: Request[] = [];
  const counts = {asked: 0, finished: 0, aborted: 0, atOnce: 0};
  for (let step = 0; step < 4000; step++) {
    const chosen = waiting[random(24)];
    if (!chosen) {
      const range = random(3) === 0 ? WHOLE : {start: random(6), length: random(4)};
      waiting.push(new Request({key: 'random', shared: random(2) === 0, range}));
      counts.asked++;
    } else if (chosen.acting) {
      await chosen.finish();
      waiting.splice(waiting.indexOf(chosen), 1);
      counts.finished++;
    } else {
      await chosen.abort();
      waiting.splice(waiting.indexOf(chosen), 1);
      counts.aborted++;
    }
    await turnOfTheLoop();
    for (const [index, {turn, acting}] of waiting.entries()) {
      const free = !waiting.slice(0, index).some(before => conflict(before.turn, turn));
      if (acting !== free) t.fail(`step ${step}, number ${index}: ${acting ? 'acts' : 'waits'}`);
    }
    if (waiting.filter(({acting}) => acting).length > 1) counts.atOnce++;
  }
  t.log(counts);
  t.true(Math.min(...Object.values(counts)) > 200, 'all happens often');
  for (const each of waiting) await (each.acting ? each.finish() : each.abort());
  t.false(queues.has('random'), 'nothing is left of the queue');
});

/** Requests that count how often somebody looks at them. */
class Counted {
  looks = 0;

  turn(
    key: string,
    shared: boolean,
    {signal, range = WHOLE}: {signal?: AbortSignal; range?: Range} = {},
  ): Turn {
    const look = () => this.looks++;
    return {
      key,
      range,
      signal,
      get shared() {
        look();
        return shared;
      },
    };
  }
}

async function drain(key: string, count: number, shared: (index: number) => boolean): Promise<number> {
  const counted = new Counted();
  const order: number[] = [];
  const all = Array.from({length: count}, async (_, index) =>
    queues.enqueue(counted.turn(key, shared(index)), async () => void order.push(index)),
  );
  await Promise.all(all);
  if (order.some((each, index) => each !== index)) throw new Error('not in their order');
  return counted.looks;
}

const CROWDS: readonly (readonly [what: string, shared: (index: number) => boolean])[] = [
  ['that want it alone', () => false],
  ['that share it', () => true],
  ['that share it, behind one who wants it alone', index => index > 0],
  ['of whom every hundredth wants it alone', index => index % 100 !== 0],
];

for (const [what, shared] of CROWDS)
  test(`20,000 requests ${what}: each looks at a few others`, async t => {
    const count = 20_000;
    const looks = await drain(what, count, shared);
    t.log(`${looks} looks`);
    t.true(looks < count * 10);
  });

test('thousands who gave up are not looked at again', async t => {
  const counted = new Counted();
  const apart = new Request({key: 'gave up', shared: true, range: {start: 100, length: 1}});
  const first = new Request({key: 'gave up', shared: false, range: PART});
  const end = new AbortController();
  setMaxListeners(0, end.signal);
  const all = Array.from({length: 5000}, async () =>
    t.throwsAsync(
      queues.enqueue(
        counted.turn('gave up', false, {signal: end.signal, range: PART}),
        async () => undefined,
      ),
    ),
  );
  end.abort(new Error('gone'));
  await Promise.all(all);
  const before = counted.looks;
  t.true(before < 5000 * 10);
  await first.finish();
  t.is(counted.looks, before);
  await apart.finish();
  t.false(queues.has('gave up'));
});

test('whoever was served gives back before the next begins', async t => {
  const said: string[] = [];
  const turn: Turn = {key: 'next', shared: false, range: WHOLE, signal: undefined};
  const one = async () => {
    await queues.enqueue(turn, async () => undefined);
    // As many steps as a program of some layers may need.
    for (let step = 0; step < 20; step++) await Promise.resolve();
    said.push('gives back');
  };
  const two = async () => queues.enqueue(turn, async () => void said.push('begins'));
  await Promise.all([one(), two()]);
  t.deepEqual(said, ['gives back', 'begins']);
});
