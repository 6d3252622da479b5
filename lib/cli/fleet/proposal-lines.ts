/** How is a document shown that waits for approval? All that matters of it, so that nobody approves what he has not seen. */
import type {Proposal} from '../../fleet/approval.js';
import {whereText} from '../../fleet/cohort.js';
import type {FleetHold, Plan} from '../../fleet/documents.js';
import {align, oneLine} from '../output.js';
import {showDuration} from '../units.js';
import {probeText} from './health.js';
import {personText} from './words.js';

function planRows(plan: Plan): string[][] {
  const {lock, bytes, sha256, where, canary, steps, soak, spread, maxFailed, maxUnavailable, health} = plan;
  return [
    ['roll-out', `${plan.id} of ${lock}`],
    ['content', `${bytes} bytes, sha256 ${sha256}`],
    ['nodes', whereText(where)],
    ['canary', `${canary} nodes, then ${steps.map(step => `${step} %`).join(', ')}`],
    ['soak', showDuration(soak)],
    ['spread', showDuration(spread)],
    ['health', health.map(probeText).join('; ') || 'no probes'],
    ['bounds', `${maxFailed} may fail, ${maxUnavailable ?? 'a whole cohort'} may be changing at a time`],
  ];
}

function holdRows({lock, where, for: bound, id}: FleetHold): string[][] {
  return [
    ['hold', `${id} of ${lock}`],
    ['nodes', whereText(where)],
    ['for', showDuration(bound)],
  ];
}

function documentRows(document: Proposal['document']): string[][] {
  switch (document.kind) {
    case 'plan':
      return planRows(document);
    case 'hold':
      return holdRows(document);
  }
}

export function proposalLines({id, document, signers, needed}: Proposal): string[] {
  const rows = [
    ...documentRows(document),
    ['reason', document.reason],
    ['by', `${personText(document.by)} at ${document.at}`],
    ['signed by', `${signers.join(', ')}: ${signers.length} of ${needed}`],
  ];
  return [id, ...align(rows.map(([what = '', text = '']) => [`  ${what}`, oneLine(text)]))];
}
