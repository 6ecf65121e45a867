/** What operators are shown of the requests in flight, and of where workers are. */
import type { Worker } from '../../core/model.ts';
import type { ReportedRequest } from '../../protocol/request.ts';
import { type ShownRequest, type ShownRequests, type ShownStack, withoutQuery } from '../../protocol/requests.ts';
import { monotonic } from '../../system/monotonic.ts';
import type { Capture } from '../stuck/capture.ts';
import type { Told } from './in-flight.ts';

/** What is known of the requests of a worker. */
export interface Known {
  readonly worker: Worker;
  /** What it told, now or the last time that it did. */
  readonly told: Told | null;
  readonly isSilent: boolean;
}

export interface Showing {
  /** Requests, over all workers. */
  readonly most: number;
  /** What is behind the question mark may be a secret. */
  readonly hidesQueries: boolean;
}

const seconds = (milliseconds: number): number => Math.round(milliseconds) / 1_000;

export function shownRequests(known: readonly Known[], { most, hidesQueries }: Showing): ShownRequests {
  const now = monotonic();
  const requests = known.flatMap(({ worker, told }) => {
    if (told === null) return [];
    // What is in flight in a worker that is silent grows older.
    const since = now - told.at;
    return told.requests.map((request) => shown(worker, request, request.age + since, hidesQueries));
  });
  return {
    inFlight: known.reduce((sum, { told }) => sum + (told?.total ?? 0), 0),
    silent: known.filter(({ isSilent }) => isSilent).map(({ worker }) => named(worker)),
    requests: requests.sort((a, b) => b.age - a.age).slice(0, most),
  };
}

function named({ slot, id, pid }: Worker): { slot: number | null; worker: number; pid: number } {
  return { slot, worker: id, pid: pid ?? 0 };
}

function shown(worker: Worker, request: ReportedRequest, age: number, hidesQueries: boolean): ShownRequest {
  const { method, url, route, phase } = request;
  const path = hidesQueries ? withoutQuery(url) : url;
  return { ...named(worker), method, url: path, route, age: seconds(age), phase };
}

/** @param now of the running clock */
export function shownStack(worker: Worker, capture: Capture, now: number): ShownStack {
  const { generation, phase, beatAt } = worker;
  const { frames, waitsFor, problem, requests, isOwnWork } = capture;
  const isRunning = frames.length > 0 && !isOwnWork;
  return {
    ...named(worker),
    generation,
    phase: phase.name,
    state: isRunning ? 'running' : problem === null ? 'waiting' : 'unknown',
    heartbeatAge: seconds(Math.max(0, now - beatAt)),
    stack: isRunning ? frames : [],
    waitsFor: waitsFor ?? [],
    problem,
    requests: requests.map((request) => shown(worker, request, request.age, false)).sort((a, b) => b.age - a.age),
  };
}
