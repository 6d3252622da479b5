/** Who has which lock, and how is it taken back? */
import type {FastifyReply} from 'fastify';
import {checkPermitted} from '../../recovery/permission.js';
import {recoveryOptions} from '../../recovery/policy/rules.js';
import {toCertificate, toFacts, toOwner, toReport, toStep} from '../../recovery/report.js';
import type {Certificate, OnStep, Step} from '../../recovery/take-back.js';
import {
  API,
  type BeatRequest,
  beatSchema,
  type BreakGlassRequest,
  breakGlassSchema,
  jsonSchema,
  livenessSchema,
  type Lock,
  type RecoveryRequest,
  recoverySchema,
} from '../api.js';
import {answer, answers, FAILURES, NAME} from '../schemas.js';
import {lockOf, onBehalf, type Parts, type Routes} from '../parts.js';
import type {WatchedLock} from '../watched-lock.js';

type Named = {Params: {name: string}};

/** What is known of a lock without looking again. */
function toLock({guardian}: Parts, lock: WatchedLock): Lock {
  const {config, glance, current} = lock;
  return {
    name: config.name,
    file: config.file,
    hot: glance?.bit === undefined ? null : glance.bit === 1,
    state: current?.verdict.state ?? null,
    examined: current ? new Date(current.at).toISOString() : null,
    epoch: glance?.epoch ?? null,
    owner: toOwner(glance?.owner ?? null) as Lock['owner'],
    waiters: current?.verdict.waiters.length ?? 0,
    recovering: guardian.orphans.isRecovering(config.name),
    liveness: guardian.heartbeats.of(lock),
  };
}

/** Steps as they happen for those who ask for events, else the certificate at the end. What has begun goes on when nobody listens any more. */
async function answerSteps(
  reply: FastifyReply,
  act: (onStep?: OnStep) => Promise<Certificate>,
): Promise<unknown> {
  if (!reply.sse) return toCertificate(await act());
  const {sse} = reply;
  const say = (event: string, data: unknown) => {
    if (sse.isConnected) sse.send({event, data}).catch(() => undefined);
  };
  sse.keepAlive();
  const onStep = (step: Step) => say('step', toStep(step));
  try {
    const certificate = await act(onStep);
    await sse.send({event: 'certificate', data: toCertificate(certificate)});
  } catch (error) {
    say('failure', {error: toFacts(error)});
  }
  sse.close();
  return undefined;
}

export const lockRoutes: Routes = (app, parts) => {
  const one = {params: NAME, tags: ['locks']};

  app.get(
    `${API}/locks`,
    {
      schema: {
        summary: 'All locks, as they were seen last',
        tags: ['locks'],
        response: {200: answers('lock', 'by name'), ...FAILURES},
      },
    },
    () => {
      parts.guardian.discover();
      return parts.guardian.locks.map(lock => toLock(parts, lock));
    },
  );

  app.get(
    `${API}/verdicts`,
    {
      schema: {
        summary: 'All locks, looked at anew',
        tags: ['locks'],
        response: {200: answers('verdict', 'by name'), ...FAILURES},
      },
    },
    async () => (await parts.guardian.examineAll()).map(toReport),
  );

  app.get<Named>(
    `${API}/locks/:name`,
    {
      schema: {
        ...one,
        summary: 'Who has it, does he live, and how is that known?',
        response: {200: answer('verdict', 'as `locksmith explain --json`'), ...FAILURES},
      },
    },
    async ({params}) => toReport(await lockOf(parts, params.name).examine()),
  );

  app.post<Named & {Body: RecoveryRequest | null}>(
    `${API}/locks/:name/recovery`,
    {
      sse: {kind: 'dual', heartbeat: false},
      schema: {
        ...one,
        summary:
          'Take it back from an owner that is proven dead; with Accept: text/event-stream step by step',
        body: jsonSchema(recoverySchema.nullable()),
        response: {200: answer('certificate', 'ALL CLEAR'), ...FAILURES},
      },
    },
    async (request, reply) => {
      const lock = lockOf(parts, request.params.name);
      const settings = parts.settingsOf(lock.name);
      const peer = parts.peerOf(request);
      const {hold, reason = 'the owner is proven dead'} = request.body ?? {};
      if (settings.recover !== 'automatic') {
        const verdict = await lock.examine();
        await checkPermitted(lock.config, verdict, settings['break-glass'], {person: peer, what: 'recover'});
      }
      const {announce} = parts.guardian.orchestrators;
      const options = {...recoveryOptions({hold}, settings), announce, reason: onBehalf(reason, peer)};
      return answerSteps(reply, onStep =>
        parts.guardian.orphans.takeBack(lock, () => lock.config.recover({...options, onStep})),
      );
    },
  );

  app.post<Named & {Body: BreakGlassRequest}>(
    `${API}/locks/:name/break-glass`,
    {
      sse: {kind: 'dual', heartbeat: false},
      schema: {
        ...one,
        summary: 'Take it from anyone, audited; with Accept: text/event-stream step by step',
        body: jsonSchema(breakGlassSchema),
        response: {200: answer('certificate', 'ALL CLEAR'), ...FAILURES},
      },
    },
    async (request, reply) => {
      const lock = lockOf(parts, request.params.name);
      const settings = parts.settingsOf(lock.name);
      const peer = parts.peerOf(request);
      const {hold, reason, owner, epoch, kill} = request.body;
      await checkPermitted(lock.config, await lock.examine(), settings['break-glass'], {person: peer});
      const {announce} = parts.guardian.orchestrators;
      const options = {
        ...recoveryOptions({hold}, settings),
        announce,
        owner,
        epoch,
        kill,
        reason: onBehalf(reason, peer),
      };
      return answerSteps(reply, onStep =>
        parts.guardian.orphans.takeBack(lock, () => lock.config.breakGlass({...options, onStep})),
      );
    },
  );

  app.put<Named & {Body: BeatRequest}>(
    `${API}/locks/:name/heartbeat`,
    {
      schema: {
        ...one,
        summary: 'The owner lives, and got so far; the first one registers it',
        body: jsonSchema(beatSchema),
        response: {200: jsonSchema(livenessSchema), ...FAILURES},
      },
    },
    request => {
      const lock = lockOf(parts, request.params.name);
      const {heartbeats} = parts.guardian;
      heartbeats.beat(lock, request.body, parts.peerOf(request));
      return heartbeats.of(lock);
    },
  );
};
