/** How is the daemon, what happens just now, and what is on record? */
import {lastAuditRecords} from '../../recovery/audit.js';
import {API} from '../api.js';
import {toEvent} from '../events.js';
import {type Routes, serverEvents} from '../parts.js';
import {answer, FAILURES} from '../schemas.js';

export const statusRoutes: Routes = (app, parts) => {
  const tags = ['daemon'];

  app.get(
    `${API}/status`,
    {
      schema: {
        summary: 'How is the daemon?',
        tags,
        response: {200: answer('status', 'as it is now'), ...FAILURES},
      },
    },
    () => parts.status(),
  );

  app.get(
    `${API}/events`,
    {
      sse: {kind: 'only'},
      schema: {
        summary: 'What happens from now on, as server-sent events; who does not keep up is cut off',
        tags,
      },
      // It lasts.
      config: {rateLimit: false},
    },
    async (_request, reply) => {
      const {sse} = reply;
      const events = parts.events.listen();
      sse.onClose(() => void events.return?.());
      await sse.send({event: 'hello', data: parts.status()});
      await sse.send(serverEvents(events, toEvent));
    },
  );

  app.get<{Querystring: {last: string}}>(
    `${API}/audit`,
    {
      schema: {
        summary: 'The last records of the audit log',
        tags,
        querystring: {
          type: 'object',
          additionalProperties: false,
          properties: {
            last: {
              type: 'string',
              pattern: '^[1-9][0-9]{0,2}$',
              default: '20',
              description: 'how many, at most 999',
            },
          },
        },
        response: {
          200: {
            description: 'oldest first',
            type: 'array',
            items: {type: 'object', additionalProperties: true},
          },
          ...FAILURES,
        },
      },
    },
    ({query}) => lastAuditRecords(parts.state, Number(query.last)),
  );

  app.get(
    '/metrics',
    {schema: {summary: 'Figures for Prometheus', tags, produces: ['text/plain']}},
    async (_request, reply) =>
      reply
        .type(parts.metrics.contentType)
        .serializer(String)
        .send(await parts.metrics.text()),
  );

  app.get(`${API}/openapi.json`, {schema: {summary: 'This description', tags}}, () => app.swagger());
};
