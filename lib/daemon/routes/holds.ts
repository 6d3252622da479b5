/** Which holds are in force, and how is one asked for and ended? */
import {API, type HoldRequest, holdRequestSchema, jsonSchema} from '../api.js';
import {checkPermitted} from '../../recovery/permission.js';
import {lockOf, type Parts, type Routes, untilGone} from '../parts.js';
import {answer, answers, FAILURES, ID} from '../schemas.js';
import type {Peer} from '../../os/peer.js';

/** Whoever may break the glass of a lock may stop those who use it, too. */
async function checkMayHold(parts: Parts, lock: ReturnType<typeof lockOf>, person: Peer): Promise<void> {
  await checkPermitted(lock.config, {owner: null}, parts.settingsOf(lock.name)['break-glass'], {
    person,
    what: 'hold',
  });
}

export const holdRoutes: Routes = (app, parts) => {
  app.get(
    `${API}/holds`,
    {
      schema: {
        summary: 'Holds that were asked for here and are in force',
        tags: ['holds'],
        response: {200: answers('hold', 'oldest first'), ...FAILURES},
      },
    },
    () => parts.holds.list(),
  );

  app.post<{Body: HoldRequest}>(
    `${API}/holds`,
    {
      schema: {
        summary: 'Stop everything that passes the gate; answered when all have come to the hold point',
        tags: ['holds'],
        body: jsonSchema(holdRequestSchema),
        response: {201: answer('hold', 'it is in force'), ...FAILURES},
      },
    },
    async (request, reply) => {
      const by = parts.peerOf(request);
      const lock = lockOf(parts, request.body.lock);
      await checkMayHold(parts, lock, by);
      const settings = parts.settingsOf(lock.name);
      const granted = await parts.holds.grant(lock, request.body, {by, settings, signal: untilGone(request)});
      return reply.code(201).send(granted);
    },
  );

  app.delete<{Params: {id: string}}>(
    `${API}/holds/:id`,
    {
      schema: {
        summary: 'Let everybody go on',
        tags: ['holds'],
        params: ID,
        response: {204: {description: 'it has ended', type: 'null'}, ...FAILURES},
      },
    },
    async (request, reply) => {
      await parts.holds.release(request.params.id, parts.peerOf(request));
      return reply.code(204).send();
    },
  );
};
