/** Which pieces of JSON Schema do several routes share? */
import {
  certificateSchema,
  failureSchema,
  fleetSchema,
  holdSchema,
  jsonSchema,
  orchestratorSchema,
  lockSchema,
  rolloutSchema,
  statusSchema,
  verdictSchema,
} from './api.js';

/** By the name under which they are referred to. */
export const SHARED: Readonly<Record<string, object>> = {
  status: jsonSchema(statusSchema),
  lock: jsonSchema(lockSchema),
  verdict: jsonSchema(verdictSchema),
  certificate: jsonSchema(certificateSchema),
  hold: jsonSchema(holdSchema),
  orchestrator: jsonSchema(orchestratorSchema),
  fleet: jsonSchema(fleetSchema),
  rollout: jsonSchema(rolloutSchema),
  failure: jsonSchema(failureSchema),
};

/** What a route answers, and what it is. */
export function answer(name: string, description: string): object {
  return {description, $ref: `${name}#`};
}

export function answers(name: string, description: string): object {
  return {description, type: 'array', items: {$ref: `${name}#`}};
}

export const NAME = {
  type: 'object',
  required: ['name'],
  properties: {name: {type: 'string', minLength: 1, maxLength: 63, description: 'name of a lock'}},
};

export const ID = {
  type: 'object',
  required: ['id'],
  properties: {id: {type: 'string', minLength: 1, maxLength: 64}},
};

/** Every refusal has this shape, whatever its status. */
export const FAILURES = {
  '4xx': answer('failure', 'what was refused, and what to do next'),
  '5xx': answer('failure', 'what failed'),
};
