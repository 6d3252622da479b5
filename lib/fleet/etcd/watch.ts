/** What changes below a prefix from a revision on? One stream at one member, until it breaks. */
import type {ServiceError} from '@grpc/grpc-js';
import type {Member} from './channels.js';
import type {Connection} from './connection.js';
import {failureOf, MemberFailed, refusal} from './failure.js';
import {WATCH, type WatchAnswer} from './protocol.js';

/** The revision that was asked for is not kept any more. */
export class Compacted extends Error {
  override readonly name = 'Compacted';
}

export interface Watched {
  readonly key: Buffer;
  readonly rangeEnd: Buffer;
  /** The first revision to be told of. */
  readonly startRevision: number;
}

/**
 * Whole answers, in their order; the first one says `created`. Never ends, but rejects: with Compacted, MemberFailed, a refusal, or the
 * reason that the attempt was aborted for.
 */
export async function* watch(
  connection: Connection,
  member: Member,
  watched: Watched,
  attempt: AbortController,
): AsyncGenerator<WatchAnswer, never> {
  const failed = new MemberFailed(member.endpoint, 'it does not begin to watch');
  const patience = setTimeout(() => attempt.abort(failed), connection.patience);
  try {
    const stream = await connection.open(WATCH, attempt.signal, member);
    // Progress tells that nothing happened: else our revision would grow so old that it is compacted.
    stream.write({createRequest: {...watched, progressNotify: true, fragment: true}});
    for await (const answer of whole(stream)) {
      clearTimeout(patience);
      if (answer.canceled) throw cancelled(answer, member);
      yield answer;
    }
    throw new MemberFailed(member.endpoint, 'it ended the watch');
  } catch (error) {
    if (attempt.signal.aborted) throw attempt.signal.reason;
    throw isServiceError(error) ? failureOf(error, member) : error;
  } finally {
    clearTimeout(patience);
  }
}

/** A large answer comes in fragments. */
async function* whole(answers: AsyncIterable<WatchAnswer>): AsyncGenerator<WatchAnswer> {
  let events: WatchAnswer['events'][number][] = [];
  for await (const answer of answers) {
    events.push(...answer.events);
    if (answer.fragment) continue;
    yield {...answer, events};
    events = [];
  }
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'details' in error;
}

function cancelled({compactRevision, cancelReason}: WatchAnswer, {endpoint}: Member): Error {
  if (Number(compactRevision) > 0)
    return new Compacted(`all before revision ${compactRevision} is compacted`);
  return /permission denied/.test(cancelReason)
    ? refusal(cancelReason, endpoint)
    : new MemberFailed(endpoint, cancelReason || 'it cancelled the watch');
}
