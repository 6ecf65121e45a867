/** Checks what a service answers of the insides of its workers. Its texts are plain already, see `client.ts`. */
import { ControlError } from '../../errors.ts';
import { requestPhases, type ShownRequest, type ShownRequests, type ShownStack } from '../../protocol/requests.ts';

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isText = (value: unknown): value is string => typeof value === 'string';
const isSlot = (value: unknown): boolean => value === null || isNumber(value);
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);

function isNamed(value: unknown): value is Fields {
  return isFields(value) && isSlot(value.slot) && isNumber(value.worker) && isNumber(value.pid);
}

function isRequest(value: unknown): value is ShownRequest {
  if (!isNamed(value) || !isText(value.method) || !isText(value.url) || !isNumber(value.age)) return false;
  const { phase, route } = value;
  return (route === null || isText(route)) && (phase === null || requestPhases.some((known) => known === phase));
}

function isStack(value: unknown): value is ShownStack {
  if (!isNamed(value) || !isText(value.phase) || !isText(value.state) || !isNumber(value.heartbeatAge)) return false;
  if (value.problem !== null && !isText(value.problem)) return false;
  if (!isTexts(value.stack) || !isTexts(value.waitsFor)) return false;
  return Array.isArray(value.requests) && value.requests.every(isRequest);
}

/** @throws ControlError if it is no answer to `GET /requests`. @param from path of the socket */
export function checkRequests(answer: unknown, from: string): ShownRequests {
  const found = isFields(answer) ? answer : {};
  const { inFlight, silent, requests } = found;
  const isGood =
    isNumber(inFlight) &&
    Array.isArray(silent) &&
    silent.every(isNamed) &&
    Array.isArray(requests) &&
    requests.every(isRequest);
  if (!isGood) throw strange(from);
  return found as unknown as ShownRequests;
}

/** @throws ControlError if it is no answer to `GET /stack` */
export function checkStacks(answer: unknown, from: string): readonly ShownStack[] {
  const { workers } = isFields(answer) ? answer : {};
  if (!Array.isArray(workers) || !workers.every(isStack)) throw strange(from);
  return workers;
}

function strange(from: string): ControlError {
  return new ControlError(`${from} answers, but not as prefork does`);
}
