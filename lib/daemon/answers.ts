/** What would the library have given here? What the daemon answered, in which null stands for what is not known. */
import {LockError} from '../errors.js';
import type {Waiter} from '../os/lock-table.js';
import type {ShownCertificate} from '../recovery/take-back.js';
import type {ShownVerdict} from '../recovery/verdict.js';
import type {CertificateAnswer, VerdictAnswer} from './api.js';

function waiterFrom({pid, start, end, behind, ...rest}: VerdictAnswer['waiters'][number]): Waiter {
  return {
    ...rest,
    pid: pid ?? undefined,
    start: BigInt(start),
    end: end === null ? undefined : BigInt(end),
    behind: behind ?? undefined,
  };
}

export function verdictFrom(answer: VerdictAnswer): ShownVerdict {
  return {
    ...answer,
    holders: answer.holders.map(holder => ({...holder, identity: holder.identity ?? undefined})),
    waiters: answer.waiters.map(waiterFrom),
  };
}

export function certificateFrom(answer: CertificateAnswer): ShownCertificate {
  const drained = answer.drained.map(({pid, doing}) => ({pid, doing}));
  return {...answer, drained, verdict: verdictFrom(answer.verdict)};
}

/** A refusal of the daemon, whose verdict is one as here. */
export function refusalFrom(error: unknown): unknown {
  if (!(error instanceof LockError) || error.verdict === undefined) return error;
  const {name: _name, code, message, cause, ...facts} = error;
  const verdict = verdictFrom(error.verdict as VerdictAnswer);
  return new LockError(code, message, {...facts, verdict}, {cause});
}
