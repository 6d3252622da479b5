/** Who has to agree still? Said while a document waits for other operators. */
import type {OnWaiting} from '../../fleet/approval.js';
import type {Given} from '../command.js';
import {note} from '../output.js';
import {toJson} from '../../recovery/report.js';

/** Says what is waited for, and what others have to do. */
export function sayWaiting({json}: Given): OnWaiting {
  return (id, signers, needed) => {
    const missing = needed - signers.length;
    if (json) note(toJson({waiting: {id, signers, needed}}));
    else
      note(
        `locksmith: waits for ${missing} more ${missing === 1 ? 'operator' : 'operators'} (signed by ${signers.join(', ')}): locksmith fleet approve ${id}`,
      );
  };
}
