/** How does an orchestrator register, hear of holds, and say that it stands at the hold point? */
import {
  acknowledgementSchema,
  API,
  cycleSchema,
  jsonSchema,
  type OrchestratorRequest,
  orchestratorRequestSchema,
} from '../api.js';
import {type Routes, serverEvents} from '../parts.js';
import {answer, answers, FAILURES, ID} from '../schemas.js';

type Identified = {Params: {id: string}};

const DONE = {204: {description: 'done', type: 'null'}, ...FAILURES};

export const orchestratorRoutes: Routes = (app, parts) => {
  const tags = ['orchestrators'];
  const path = `${API}/orchestrators`;

  app.get(
    path,
    {
      schema: {
        summary: 'All that have registered',
        tags,
        response: {200: answers('orchestrator', 'oldest first'), ...FAILURES},
      },
    },
    () => parts.guardian.orchestrators.list(),
  );

  app.post<{Body: OrchestratorRequest}>(
    path,
    {
      schema: {
        summary:
          'From now on no hold on these locks is granted before it has acknowledged; until it leaves or dies',
        tags,
        body: jsonSchema(orchestratorRequestSchema),
        response: {201: answer('orchestrator', 'it has registered'), ...FAILURES},
      },
    },
    async (request, reply) => {
      const {name, locks} = request.body;
      const id = parts.guardian.orchestrators.register(name, locks, parts.peerOf(request));
      return reply.code(201).send(parts.guardian.orchestrators.list().find(each => each.id === id));
    },
  );

  app.delete<Identified>(
    `${path}/:id`,
    {schema: {summary: 'It leaves', tags, params: ID, response: DONE}},
    async (request, reply) => {
      parts.guardian.orchestrators.leave(request.params.id, parts.peerOf(request));
      return reply.code(204).send();
    },
  );

  app.get<Identified>(
    `${path}/:id/events`,
    {
      sse: {kind: 'only'},
      schema: {summary: 'Holds that are asked for, and their ends, as server-sent events', tags, params: ID},
      config: {rateLimit: false},
    },
    async (request, reply) => {
      const orders = parts.guardian.orchestrators.listen(request.params.id, parts.peerOf(request));
      reply.sse.onClose(() => void orders.return?.());
      await reply.sse.send(serverEvents(orders, order => order));
    },
  );

  app.put<Identified & {Body: {lock: string; running: boolean}}>(
    `${path}/:id/cycle`,
    {
      schema: {
        summary: 'A cycle has begun, or ended',
        tags,
        params: ID,
        body: jsonSchema(cycleSchema),
        response: DONE,
      },
    },
    async (request, reply) => {
      const {lock, running} = request.body;
      parts.guardian.orchestrators.cycle(request.params.id, parts.peerOf(request), lock, running);
      return reply.code(204).send();
    },
  );

  app.post<Identified & {Body: {hold: string}}>(
    `${path}/:id/acknowledgements`,
    {
      schema: {
        summary: 'It stands at the hold point of that hold',
        tags,
        params: ID,
        body: jsonSchema(acknowledgementSchema),
        response: DONE,
      },
    },
    async (request, reply) => {
      parts.guardian.orchestrators.acknowledge(request.params.id, parts.peerOf(request), request.body.hold);
      return reply.code(204).send();
    },
  );
};
