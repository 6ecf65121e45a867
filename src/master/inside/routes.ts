/** The routes by which operators look into workers. */
import type { Worker } from '../../core/model.ts';
import type { Inspection } from '../../protocol/messages.ts';
import { statusVersion } from '../../protocol/status.ts';
import { longestLook, shortestLook } from '../../protocol/tube.ts';
import { type Answer, type Call, ok, type Reply, type Route, refuse } from '../operator/route.ts';
import type { Inside } from './inside.ts';
import type { Showing } from './shown.ts';

/** Requests that are shown unless more are asked for; on the page and in `top` there is room for fewer. */
const usualMost = 100;
const mostOfAll = 10_000;
const usualSeconds = 10;

/** What the page shows, and anybody who reads the events. */
export const shownToAll: Showing = { most: 10, hidesQueries: true };

/** @returns routes of the control socket: whoever reaches it is the service's user, or root */
export function insideRoutes(inside: Inside): Route[] {
  return [
    { method: 'GET', path: '/requests', handle: (call) => requests(call, inside, false) },
    { method: 'GET', path: '/stack', handle: (call) => stack(call, inside) },
    { method: 'POST', path: '/profile', handle: (call) => look(call, inside, 'profile') },
    { method: 'POST', path: '/trace', handle: (call) => look(call, inside, 'trace') },
    { method: 'POST', path: '/heap', handle: (call) => look(call, inside, 'heap') },
  ];
}

/** @returns routes of the admin address, which shows no queries and disturbs no worker */
export function insideViews(inside: Inside): Route[] {
  return [{ method: 'GET', path: '/requests', handle: (call) => requests(call, inside, true) }];
}

async function requests({ query }: Call, inside: Inside, isPublic: boolean): Promise<Reply> {
  const slot = slotIn(query.get('slot'), inside);
  if (typeof slot === 'object' && slot !== null) return slot;
  const given = query.get('most');
  const most = given === null ? usualMost : Number(given);
  if (!Number.isInteger(most) || most < 1 || most > mostOfAll)
    return refuse(400, 'bad_request', `most: expected a whole number from 1 to ${mostOfAll}`);
  const shown = await inside.requests(slot, { most, hidesQueries: isPublic }, !isPublic);
  return ok({ version: statusVersion, ...shown });
}

async function stack({ query }: Call, inside: Inside): Promise<Reply> {
  const slot = slotIn(query.get('slot'), inside);
  if (typeof slot === 'object' && slot !== null) return slot;
  return ok({ version: statusVersion, workers: await inside.stacks(slot) });
}

/** @returns the slot that is meant, `null` for all, or a refusal */
function slotIn(text: string | null, inside: Inside): number | null | Reply {
  if (text === null) return null;
  const slot = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN;
  return inside.slots.includes(slot) ? slot : noSlot(inside);
}

function noSlot({ slots }: Inside): Reply {
  if (slots.length === 0) return refuse(400, 'no_slot', 'slot: there are no workers');
  return refuse(400, 'no_slot', `slot: expected one of ${slots.join(', ')}`);
}

async function look({ body, onGone }: Call, inside: Inside, what: Inspection['what']): Promise<Answer> {
  const { slot, seconds = usualSeconds } = body;
  const worker = typeof slot === 'number' && Number.isInteger(slot) ? inside.workerIn(slot) : null;
  if (worker === null) return noSlot(inside);
  const milliseconds = typeof seconds === 'number' ? Math.round(seconds * 1_000) : Number.NaN;
  if (what !== 'heap' && !(milliseconds >= shortestLook && milliseconds <= longestLook))
    return refuse(400, 'bad_request', `seconds: expected ${shortestLook / 1_000} to ${longestLook / 1_000}`);
  const unfit = unfitnessOf(worker, what);
  if (unfit !== null) return refuse(409, 'not_ready', `the worker of slot ${worker.slot} ${unfit}`);
  const found = await inside.inspections.inspect(worker, what === 'heap' ? { what } : { what, milliseconds }, onGone);
  if (found.kind === 'refused') {
    const status = found.code === 'busy' ? 409 : found.code === 'silent' ? 504 : 502;
    return refuse(status, found.code === 'failed' ? 'worker_failed' : found.code, found.reason);
  }
  const { size, content, note } = found;
  return { transfer: content, size, ...(note === null ? {} : { headers: { 'prefork-note': latin(note) } }) };
}

/** A worker on its way out has other things to do; one that is not ready is not to be stopped. */
function unfitnessOf({ phase }: Worker, what: Inspection['what']): string | null {
  if (phase.name === 'draining') return 'is on its way out; its successor comes';
  if (phase.name !== 'ready' && what === 'heap') return 'is not ready yet';
  return null;
}

/** As a header may have it. */
function latin(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
