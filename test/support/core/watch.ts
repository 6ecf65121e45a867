/** What must hold after every turn of any history. Each watcher throws at the first turn that breaks its promise. */
import assert from 'node:assert/strict';
import type { Action } from '../../../src/core/actions.ts';
import { decide } from '../../../src/core/decide.ts';
import { fixed } from '../../../src/core/fixed.ts';
import {
  isCanaryOut,
  isLive,
  isReady,
  isSpare,
  policyOf,
  replaceReason,
  slotOf,
  target,
} from '../../../src/core/fleet.ts';
import { type Fleet, resizedBy, type Worker } from '../../../src/core/model.ts';
import { renderAction } from './render.ts';
import type { SimulatedTurn } from './simulator.ts';

export type Watcher = (turn: SimulatedTurn) => void;

/** Workers of the generation in force, and older ones; a reload's candidate is extra. */
export function inForce(fleet: Fleet): readonly Worker[] {
  return fleet.workers.filter((worker) => worker.generation <= fleet.generation);
}

export function serving(fleet: Fleet): number {
  return inForce(fleet).filter(isReady).length;
}

/** A second call gives nothing new, and the next one is due in the future. */
export const idempotence: Watcher = ({ after, now, wakeAt }) => {
  const again = decide(after, now);
  assert.deepEqual(again.actions, []);
  assert.deepEqual(again.fleet, after);
  assert.equal(again.wakeAt, wakeAt);
  assert.ok(wakeAt === null || wakeAt > now, `wakes at ${wakeAt}, now is ${now}`);
};

/** Invariant 1: nothing the master chooses takes the workers that serve below the wanted number. */
export const strength: Watcher = ({ before, after, actions }) => {
  for (const action of actions) {
    if (action.type !== 'drain' && action.type !== 'kill') continue;
    const worker = before.workers.find(({ id }) => id === action.id);
    if (worker?.phase.name !== 'ready' || worker.generation > after.generation) continue;
    if (action.type === 'kill') {
      assert.match(action.reason, /stuck|misbehaved/, renderAction(action));
      continue;
    }
    assert.ok(
      serving(after) >= target(after),
      `${serving(after)} serve of ${target(after)} after ${renderAction(action)}`,
    );
  }
};

/** Invariant 2: a worker that may have clients is not killed for being no longer wanted. */
export const clients: Watcher = ({ before, actions }) => {
  for (const action of actions) {
    if (action.type !== 'kill' || (action.reason !== 'shutdown' && action.reason !== 'reload-rejected')) continue;
    const worker = before.workers.find(({ id }) => id === action.id);
    assert.ok(
      worker?.listening !== true || worker.phase.name === 'killed',
      `${renderAction(action)}: it may have clients`,
    );
  }
};

/** Every spawn has its reason, within the limits: a canary, a vacancy, or the successor of a worker that is to leave. */
export const spawns: Watcher = ({ before, after, actions, now }) => {
  // What was live, and of which generation, when the action was taken.
  const live = new Map(before.workers.filter(isLive).map((worker) => [worker.id, worker]));
  const booting = new Set(before.workers.filter(({ phase }) => phase.name === 'booting').map(({ id }) => id));
  let { generation } = before;
  for (const action of actions) {
    if (action.type === 'promote') generation = action.generation;
    if (action.type === 'drain' || action.type === 'kill') {
      live.delete(action.id);
      booting.delete(action.id);
    }
    if (action.type === 'place') {
      const placed = after.workers.find(({ id }) => id === action.id);
      if (placed !== undefined) live.set(action.id, placed);
    }
    if (action.type !== 'spawn' || action.slot === null) continue;
    assert.equal(after.stopping, null, 'a worker is started while the service stops');
    const known = [...live.values()];
    const worker = after.workers.find(({ id }) => id === action.id);
    assert.ok(worker !== undefined);
    if (action.generation > generation) {
      assert.ok(!before.workers.some((other) => other.generation > generation), 'there is a canary already');
      live.set(action.id, worker);
      continue;
    }
    assert.equal(action.generation, generation);
    assert.ok(action.slot < target(after), `slot ${action.slot} is not wanted`);
    const peers = known.filter((other) => other.slot === action.slot && other.generation <= generation);
    assert.ok(peers.length <= 1, `slot ${action.slot} has ${peers.length} workers and gets another`);
    const [incumbent] = peers;
    if (incumbent !== undefined) {
      assert.notEqual(replaceReason(after, incumbent, now), null, 'a successor for a worker that is to stay');
    }
    live.set(action.id, worker);
    booting.add(action.id);
    const established = [...live.values()].filter((other) => other.generation <= generation);
    const beyond = established.length - new Set(established.map(({ slot }) => slot)).size;
    if (incumbent !== undefined) assert.ok(beyond <= after.policy.maxSurge, `${beyond} beyond one per slot`);
    const boots = established.filter(({ id }) => booting.has(id)).length;
    assert.ok(boots <= after.policy.maxBooting, `${boots} boot at a time`);
  }
};

/** A vacancy is filled now, or there is a reason why not yet, and a time to look again. */
export const vacancies: Watcher = ({ after, now, wakeAt }) => {
  if (after.stopping !== null || after.start === 'starting') return;
  const boots = inForce(after).filter(({ phase }) => phase.name === 'booting').length;
  if (boots >= after.policy.maxBooting) return;
  for (let slot = 0; slot < target(after); slot += 1) {
    if (inForce(after).some((worker) => worker.slot === slot && isLive(worker))) continue;
    const { notBefore } = slotOf(after, slot);
    assert.ok(notBefore > now, `slot ${slot} is vacant, and no worker comes`);
    assert.ok(wakeAt !== null && wakeAt <= notBefore, `slot ${slot} is vacant, and the core does not wake for it`);
  }
};

/** Every deadline of a worker is one the core wakes for. */
export const deadlines: Watcher = ({ after, now, wakeAt }) => {
  for (const worker of after.workers) {
    const deadline = deadlineOf(after, worker);
    if (deadline === null) continue;
    assert.ok(deadline > now, `worker ${worker.id} (${worker.phase.name}) is overdue since ${deadline}`);
    assert.ok(wakeAt !== null && wakeAt <= deadline, `the core does not wake for worker ${worker.id} at ${deadline}`);
  }
};

function deadlineOf(fleet: Fleet, worker: Worker): number | null {
  const { phase, capture } = worker;
  const beatAt = Math.max(worker.beatAt, worker.excusedUntil);
  const { bootTimeout, timeout } = policyOf(fleet, worker);
  switch (phase.name) {
    case 'joining': {
      // A stack that was taken for its silence serves for the boot as well; a heartbeat after it ends the silence.
      const taken = capture?.fatal === true ? capture.since : Number.NEGATIVE_INFINITY;
      const boot = phase.since + bootTimeout;
      const bootEnd = taken >= phase.since ? Math.max(boot, taken + fixed.captureLimit) : boot;
      if (timeout === 0) return bootEnd;
      return Math.min(bootEnd, taken >= beatAt ? taken + fixed.captureLimit : beatAt + timeout);
    }
    case 'booting':
      return capture?.fatal === true ? capture.since + fixed.captureLimit : phase.since + bootTimeout;
    case 'spare':
    case 'ready':
      if (timeout === 0) return null;
      return capture?.fatal === true && capture.since >= beatAt ? capture.since + fixed.captureLimit : beatAt + timeout;
    case 'draining':
      return phase.deadline + fixed.drainMargin;
    case 'killed':
      return phase.signal === 'SIGABRT' ? phase.since + fixed.killGrace : null;
  }
}

/** Ids are given once, generations grow by one, counters never shrink, and no worker returns to an earlier phase. */
export function monotony(): Watcher {
  const phases = ['booting', 'spare', 'joining', 'ready', 'draining', 'killed'];
  return ({ earlier, before, after, actions }) => {
    const promotions = actions.filter(({ type }) => type === 'promote').length;
    assert.equal(after.generation, earlier.generation + promotions);
    assert.ok(promotions <= 1 && after.reloads >= earlier.reloads);
    assert.ok(after.nextWorkerId >= earlier.nextWorkerId);
    for (const [slot, { restarts }] of earlier.slots) assert.ok(slotOf(after, slot).restarts >= restarts);
    const spawned = actions.filter((action) => action.type === 'spawn').map(({ id }) => id);
    assert.deepEqual(
      spawned,
      spawned.map((_, i) => earlier.nextWorkerId + i),
    );
    assert.equal(new Set(after.workers.map(({ id }) => id)).size, after.workers.length);
    for (const [was, is] of [
      [earlier, before],
      [before, after],
    ] as const) {
      for (const worker of is.workers) {
        const old = was.workers.find(({ id }) => id === worker.id);
        if (old === undefined) continue;
        assert.ok(phases.indexOf(worker.phase.name) >= phases.indexOf(old.phase.name), `${worker.id} came back`);
      }
    }
  };
}

/** As long as any worker is ready, every queue has a ready worker that accepts from it. */
export const queues: Watcher = ({ after }) => {
  const ready = after.workers.filter(isReady);
  for (let queue = 0; queue < after.queueCount && ready.length > 0; queue += 1) {
    assert.ok(
      ready.some((worker) => worker.queues.includes(queue)),
      `no worker accepts from queue ${queue}`,
    );
  }
};

/**
 * Connections are given away if and only if somebody takes them: by each worker that leaves, all of them. Who has not served
 * yet, or is not to serve, takes none; and shares are shares of what there is. Those at work go to a canary first. While another master is there, each worker
 * knows that its connections have heirs.
 */
export const migrations: Watcher = ({ after, now }) => {
  const { stopping, upgrade, predecessor, policy } = after;
  const isOut = isCanaryOut(after);
  const serving = (isOut ? after.workers : inForce(after)).filter(isReady);
  const takers = serving.filter(({ moves }) => moves.take !== 0);
  const others = upgrade.state === 'ready' || (predecessor === 'serves' && stopping !== null);
  const hasHeirs = predecessor !== 'none' || upgrade.state === 'starting' || upgrade.state === 'ready';
  for (const { id, pid, moves: told, phase, generation, excusedUntil } of after.workers) {
    const { atWork, heirs, ...moves } = told;
    const text = `worker ${id}, ${phase.name}: ${JSON.stringify(told)}`;
    if (pid !== null) assert.equal(heirs, hasHeirs, text);
    if (atWork) assert.ok(isOut && generation <= after.generation && moves.keep !== null, text);
    if (
      !policy.migration ||
      phase.name === 'booting' ||
      phase.name === 'killed' ||
      (generation > after.generation && !isOut)
    ) {
      if (phase.name !== 'draining') assert.deepEqual(moves, { keep: null, take: 0 }, text);
      continue;
    }
    if (phase.name === 'draining') {
      const gives = !phase.quick && (others || (stopping === null && takers.length > 0));
      assert.deepEqual(moves, gives ? { keep: 0, take: 0 } : { keep: null, take: null }, text);
    } else if (phase.name === 'ready' && now < excusedUntil && moves.take === 0) {
      assert.deepEqual(moves, takers.length > 0 || others ? { keep: 0, take: 0 } : { keep: null, take: 0 }, text);
    } else assert.ok(moves.keep === null || moves.keep === moves.take, text);
  }
  if (stopping === null && policy.migration && serving.length > 0) assert.ok(takers.length > 0, 'nobody takes');
  if (!after.balancing || takers.length === 0) return;
  const shares = takers.map(({ moves }) => moves.take ?? 0);
  const connections = takers.reduce((sum, { figures }) => sum + (figures?.connections ?? 0), 0);
  if (shares.every((share) => share > 0))
    assert.equal(
      shares.reduce((sum, share) => sum + share, 0),
      connections,
    );
  const { reload } = after;
  const extra = reload.state === 'canary' && reload.stage.name === 'trial' ? reload.stage.part.extra : 0;
  assert.ok(Math.max(...shares) - Math.min(...shares) <= 1 + extra, `shares ${shares.join()}, ${extra} extra`);
  const usual = takers.filter(({ generation }) => generation <= after.generation).map(({ moves }) => moves.take ?? 0);
  if (usual.length > 0) assert.ok(Math.max(...usual) - Math.min(...usual) <= 1, `shares ${usual.join()}`);
};

/** Booted spares that may take a place now. */
function fit(fleet: Fleet, now: number): readonly Worker[] {
  return fleet.workers.filter(
    (worker) =>
      worker.phase.name === 'spare' &&
      worker.generation === fleet.generation &&
      now - worker.beatAt <= fixed.spareSilence &&
      worker.hindrance === null &&
      replaceReason(fleet, worker, now) === null,
  );
}

/**
 * Spares are never more than configured and one that replaces another, never of another generation than the one in force,
 * never booted instead of a worker that serves, and none waits while a place is free.
 */
export const spareWorkers: Watcher = ({ before, after, actions, now }) => {
  const all = after.workers.filter(isSpare);
  const { spares, maxBooting } = after.policy;
  assert.ok(all.length <= spares + 1, `${all.length} spares of ${spares}`);
  for (const worker of all) assert.equal(worker.generation, after.generation, 'a spare of another generation');
  if (after.stopping !== null || after.dormant) assert.equal(all.length, 0, 'a spare where nobody serves');
  for (const action of actions) {
    if (action.type === 'spawn' && action.slot === null) {
      assert.equal(action.generation, after.generation);
      assert.ok(after.reload.state === 'idle' || isCanaryOut(after), 'a spare is booted in the middle of a reload');
      const booting = after.workers.filter(({ phase }) => phase.name === 'booting').length;
      assert.ok(booting <= Math.max(maxBooting, before.workers.length), `${booting} boot at a time`);
    }
    if (action.type !== 'place') continue;
    const worker = after.workers.find(({ id }) => id === action.id);
    assert.equal(worker?.generation, after.generation, 'a spare of an old generation is placed');
    assert.equal(before.workers.find(({ id }) => id === action.id)?.slot, null, 'it has a place already');
  }
  if (after.stopping !== null || fit(after, now).length === 0) return;
  for (let slot = 0; slot < target(after); slot += 1) {
    if (inForce(after).some((worker) => worker.slot === slot && isLive(worker))) continue;
    const { failures, notBefore } = slotOf(after, slot);
    assert.ok(failures > 1 && notBefore > now, `slot ${slot} is vacant, and a spare waits`);
  }
};

/** The pool follows its load within its range, and never grows beyond the memory that there is. */
export const sizes: Watcher = ({ before, after, actions }) => {
  const { autoscale } = after.policy;
  if (autoscale !== null && after.stopping === null)
    assert.ok(after.wanted >= autoscale.min && after.wanted <= autoscale.max, `${after.wanted} workers are wanted`);
  for (const action of actions) {
    if (action.type !== 'resize' || action.reason === resizedBy.settings) continue;
    assert.ok(autoscale !== null && action.from !== action.to);
    assert.equal(Math.abs(action.to - action.from), action.to < action.from ? 1 : action.to - action.from);
    const ready = inForce(before).filter(isReady);
    assert.ok(ready.length >= action.from, 'the size changes while workers are missing');
    const size = ready.reduce((sum, { figures }) => sum + (figures?.rss ?? 0), 0) / ready.length;
    const memory = after.memory ?? Number.POSITIVE_INFINITY;
    if (action.to > action.from) assert.ok((action.to - action.from) * size <= memory + 1, 'there is no memory for it');
  }
};

/**
 * A leader is named only if there is none, among workers that serve and whose app has something to do; it is the leader until
 * it has said that it has ended, or is gone; and if one could lead, one does, or is about to. That no two processes lead at a
 * time is what the simulator looks at, see `Simulator.lead`.
 */
export const leadership: Watcher = ({ earlier, before, after, events, actions, now, wakeAt }) => {
  const { leader, right, notBefore } = after.leadership;
  const was = earlier.leadership.leader;
  if (was !== null && leader?.id !== was.id) {
    const isOver = events.some((event) => 'id' in event && event.id === was.id && ends.includes(event.type));
    assert.ok(isOver, `worker ${was.id} led, and nobody has heard of its end`);
  }
  for (const action of actions) {
    if (action.type === 'releaseLead') assert.equal(before.leadership.leader, null, 'the right goes before the leader');
    if (action.type !== 'lead') continue;
    assert.equal(before.leadership.leader, null, renderAction(action));
    assert.equal(right, 'held', renderAction(action));
    const worker = before.workers.find(({ id }) => id === action.id);
    assert.ok(worker?.candidate, 'its app has nothing to do');
    assert.ok(worker.generation <= after.generation, 'a canary leads');
  }
  if (right === 'held' && earlier.leadership.right !== 'held') {
    const isGranted = events.some((event) => event.type === 'leadClaimed' && event.claim === earlier.leadership.claims);
    assert.ok(
      isGranted && earlier.leadership.right === 'asked',
      'the right is here, and this claim to it was not granted',
    );
  }
  if (leader !== null) return assert.equal(right, 'held');
  if (target(after) === 0) return assert.equal(right, 'none');
  if (!inForce(after).some((worker) => isReady(worker) && worker.candidate && worker.slot !== null)) return;
  assert.notEqual(right, 'none', 'nobody leads, and nobody asks for the right');
  if (right === 'asked') return;
  assert.ok(notBefore > now && wakeAt !== null && wakeAt <= notBefore, 'nobody leads, and one could');
};

const ends: readonly string[] = ['workerResigned', 'workerExited', 'workerSpawnFailed'];

type Step = 'none' | 'prepared' | 'promoted';

/** The transaction that a reload is: prepare, then reject, or promote and then complete or halt; one at a time. */
export function transactions(): Watcher & { readonly open: () => boolean } {
  let step: Step = 'none';
  const next: Readonly<Record<string, readonly [from: Step, to: Step]>> = {
    prepare: ['none', 'prepared'],
    reject: ['prepared', 'none'],
    promote: ['prepared', 'promoted'],
    complete: ['promoted', 'none'],
    halt: ['promoted', 'none'],
  };
  const watch = ({ actions }: { readonly actions: readonly Action[] }) => {
    for (const action of actions) {
      const edge = next[action.type];
      if (edge === undefined) continue;
      assert.equal(step, edge[0], renderAction(action));
      step = edge[1];
    }
  };
  return Object.assign(watch, { open: () => step !== 'none' });
}

/** A worker that is told to leave, or is killed, is gone in bounded time, whatever it does and says meanwhile. */
export function fates(within: { readonly graceful: number; readonly slack: number }): Watcher {
  const told = new Map<number, { readonly killed: number | null; readonly drained: number | null }>();
  return ({ after, now }) => {
    for (const { id, phase } of after.workers) {
      if (phase.name !== 'draining' && phase.name !== 'killed') continue;
      const { killed = null, drained = null } = told.get(id) ?? {};
      const first = { killed: phase.name === 'killed' ? (killed ?? now) : null, drained: drained ?? now };
      told.set(id, first);
      if (first.killed !== null)
        assert.ok(now <= first.killed + fixed.killGrace + within.slack, `${id} is still there`);
      assert.ok(
        now <= first.drained + within.graceful + fixed.drainMargin + fixed.killGrace + within.slack,
        `${id} still leaves`,
      );
    }
  };
}

/** Workers on their way out are never more than a few for each slot, however long their clients stay. */
export const crowds: Watcher = ({ after }) => {
  if (after.stopping !== null) return;
  const generations = new Set<number>();
  const perSlot = new Map<number, number>();
  for (const worker of after.workers) {
    if (isLive(worker) || worker.slot === null) continue;
    if (worker.generation < after.generation) generations.add(worker.generation);
    if (worker.phase.name === 'draining') perSlot.set(worker.slot, (perSlot.get(worker.slot) ?? 0) + 1);
  }
  assert.ok(generations.size <= fixed.drainingGenerations + 1, `${generations.size} generations leave`);
  for (const [slot, count] of perSlot) assert.ok(count <= fixed.drainingGenerations + 1, `${count} leave slot ${slot}`);
};

/** Between `prepare` and `reject` a reload changes nothing: no worker in force leaves for it, and all settings stay. */
export function atomicity(): Watcher {
  let since: Fleet | null = null;
  return ({ earlier, after, actions }) => {
    for (const action of actions) {
      if (action.type === 'prepare') since = after;
      if (action.type === 'promote') since = null;
      if (action.type === 'drain' && action.reason === 'reload' && since !== null && !since.halted) {
        const worker = earlier.workers.find(({ id }) => id === action.id);
        assert.ok(worker !== undefined && worker.generation > since.generation, renderAction(action));
      }
      if (action.type === 'reject' && since !== null) {
        assert.equal(after.generation, since.generation);
        assert.equal(after.policy, since.policy);
        assert.equal(after.halted, since.halted);
        since = null;
      }
    }
  };
}

/**
 * A canary that is to be verified has no clients before: it is held from its birth until the command has found nothing
 * wrong, and its generation is in force only after that. Nobody else is held, and a command runs once a reload.
 */
export function verification(): Watcher {
  const verified = new Set<number>();
  const begun = new Set<number>();
  return ({ earlier, before, after, actions }) => {
    // Taken in at the stage at which it is awaited, and no other.
    if (before.reload.state === 'canary' && before.reload.stage.name === 'verified') verified.add(before.reload.reload);
    for (const action of actions) {
      if (action.type === 'spawn') {
        const { reload } = after;
        const isCanary = action.generation > before.generation;
        const isTried = isCanary && reload.state === 'canary' && reload.policy.verify && reload.rollback === null;
        if (isCanary && reload.state === 'canary') assert.equal(action.held === true, isTried, renderAction(action));
        if (!isCanary) assert.equal(action.held, undefined, renderAction(action));
      }
      if (action.type === 'verify') {
        assert.ok(!begun.has(action.reload), 'a canary is tried twice');
        begun.add(action.reload);
      }
      if (action.type === 'admit') assert.ok(earlier.workers.some(({ id, held }) => id === action.id && held));
      if (action.type === 'admit' || action.type === 'hold' || action.type === 'promote') {
        const { reload } = before;
        const isTried = reload.state === 'canary' && reload.policy.verify && reload.rollback === null;
        if (isTried) assert.ok(verified.has(reload.reload), `${renderAction(action)} before it was verified`);
      }
    }
    for (const { id, held, generation } of after.workers) {
      const was = earlier.workers.find((worker) => worker.id === id);
      if (was !== undefined && !was.held) assert.ok(!held, `worker ${id} was let go and is held again`);
      if (held) assert.ok(generation > after.generation || after.reload.state !== 'rolling', `worker ${id} is held`);
    }
  };
}

/** A refused reload is rejected in the very turn in which it is refused, once. */
export const refusals: Watcher = ({ before, after, actions }) => {
  if (before.exited) return;
  assert.notEqual(after.reload.state, 'refused');
  const { reload } = before;
  if (reload.state !== 'refused') return;
  const rejections = actions.filter((action) => action.type === 'reject' && action.reload === reload.reload);
  assert.equal(rejections.length, 1);
  assert.deepEqual([after.lastReload?.verdict, after.lastReload?.reload], ['rejected', reload.reload]);
};

/** No exit of a worker, whatever its code, ends a master that was up, and no order but the one to stop. */
export const survival: Watcher = ({ earlier, after, events }) => {
  if (earlier.start === 'starting' || earlier.policy.maxBootFailures > 0) return;
  const isAsked = earlier.stopping !== null || events.some(({ type }) => type === 'stopRequested');
  assert.ok(isAsked || after.stopping === null, 'the master stops by itself');
};
