/** What Locksmith offers to programs that talk with its daemon. */
export type {
  BeatRequest,
  BreakGlassRequest,
  CertificateAnswer,
  HoldAnswer,
  HoldRequest,
  Liveness,
  Lock,
  OrchestratorAnswer,
  OrchestratorRequest,
  RecoveryRequest,
  Status,
  VerdictAnswer,
} from './daemon/api.js';
export {type Asking, DaemonClient, type Following, RemoteHold, type ServerEvent} from './daemon/client.js';
export {Heartbeat, type HeartbeatOptions} from './daemon/heartbeat.js';
export {Orchestrator, type OrchestratorOptions} from './daemon/orchestrator.js';
export type {Order} from './daemon/orchestrators.js';
