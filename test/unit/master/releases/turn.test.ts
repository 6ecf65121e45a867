/** One release command at a time: tickets, and what becomes of them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { ReleaseError } from '../../../../src/errors.ts';
import { type Turn, takeTurn } from '../../../../src/master/releases/turn.ts';
import { project } from '../../../support/config-harness.ts';
import { until } from '../../../support/until.ts';

const uid = process.geteuid?.() ?? 0;

interface Asked {
  readonly turn: Promise<Turn>;
  readonly waits: string[];
  readonly abort: AbortController;
}

function ask(tickets: string, folder = '/srv/app', within = 30_000): Asked {
  const abort = new AbortController();
  const waits: string[] = [];
  const turn = takeTurn({
    ...{ folder, name: 'shop', uid, within, tickets },
    signal: abort.signal,
    onWait: (holder) => waits.push(holder),
  });
  // What is expected to fail is looked at later.
  turn.catch(() => {});
  return { turn, waits, abort };
}

/** A child that leads a group, as a release command does, and goes when the test ends. */
function child(t: TestContext, command: string): { readonly pid: number; readonly exited: Promise<void> } {
  const process_ = spawn('/bin/sh', ['-c', command], { stdio: 'ignore', detached: true });
  const exited = new Promise<void>((resolve) => process_.once('exit', () => resolve()));
  const { pid } = process_;
  assert.ok(pid !== undefined);
  t.after(() => {
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // It is gone.
    }
  });
  return { pid, exited };
}

describe('the turn of a release command', () => {
  it('comes one after the other, and leaves nothing behind', async (t) => {
    const tickets = join(project(t), 'tickets');
    let running = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 12 }, async () => {
        const turn = await ask(tickets).turn;
        assert.equal(turn.problem, null);
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setTimeout(resolve, 5));
        running -= 1;
        turn.end();
      }),
    );
    assert.equal(most, 1);
    assert.deepEqual(readdirSync(tickets), []);
  });

  it('is of a release: another one need not wait', async (t) => {
    const tickets = join(project(t), 'tickets');
    const first = await ask(tickets).turn;
    const other = await ask(tickets, '/srv/other').turn;
    const second = ask(tickets);
    await until('the second to wait', () => second.waits.length > 0);
    assert.match(second.waits[0] ?? '', new RegExp(`^"shop" \\(master ${process.pid}\\)$`));
    first.end();
    (await second.turn).end();
    other.end();
  });

  it('does not come within the time, or is given up', async (t) => {
    const tickets = join(project(t), 'tickets');
    const first = await ask(tickets).turn;
    const late = ask(tickets, '/srv/app', 1);
    await assert.rejects(late.turn, ReleaseError);
    const given = ask(tickets);
    await until('it to wait', () => given.waits.length > 0);
    given.abort.abort(new Error('given up'));
    await assert.rejects(given.turn, /given up/);
    first.end();
    assert.deepEqual(readdirSync(tickets), []);
  });

  it('is free if master and command are dead, and not while the command of a dead master runs', async (t) => {
    const tickets = join(project(t), 'tickets');
    const first = await ask(tickets).turn;
    const [file = ''] = readdirSync(tickets);
    const command = child(t, 'sleep 600');
    const dead = child(t, 'exit 0');
    await dead.exited;
    first.holdFor(command.pid);
    const path = join(tickets, file);
    const content = JSON.parse(readFileSync(path, 'utf8')) as { master: object };
    assert.match(JSON.stringify(content), new RegExp(`"pid":${command.pid}`));
    writeFileSync(path, JSON.stringify({ ...content, master: { pid: dead.pid, start: '1' } }));
    const second = ask(tickets);
    await until('it to wait', () => second.waits.length > 0);
    process.kill(-command.pid, 'SIGKILL');
    const turn = await second.turn;
    turn.end();
    assert.deepEqual(readdirSync(tickets), []);
  });

  it('is not kept by a pid that is another process now, nor by what is no ticket', async (t) => {
    const tickets = join(project(t), 'tickets');
    const first = await ask(tickets).turn;
    const [file = ''] = readdirSync(tickets);
    for (const text of [
      JSON.stringify({ name: 'x', master: { pid: process.pid, start: '1' }, command: null }),
      JSON.stringify({ name: 'x', master: { pid: -1, start: null }, command: { pid: 'a' } }),
      '{',
      'null',
      '',
    ]) {
      writeFileSync(join(tickets, file), text);
      const turn = await ask(tickets).turn;
      assert.equal(turn.problem, null);
      turn.end();
      assert.deepEqual(readdirSync(tickets), [], text);
    }
    first.end();
  });

  it('clears away what a crash has left of other releases, and nothing else', async (t) => {
    const tickets = join(project(t), 'tickets');
    (await ask(tickets).turn).end();
    writeFileSync(join(tickets, '0123abcd.held.000000001-abc'), JSON.stringify({ name: 'x', master: null }));
    writeFileSync(join(tickets, 'notes'), '');
    (await ask(tickets).turn).end();
    assert.deepEqual(readdirSync(tickets), ['notes']);
  });

  it('comes at once where no tickets can be written, and says why', async (t) => {
    const tickets = join(project(t), 'tickets');
    mkdirSync(tickets, { mode: 0o777 });
    chmodSync(tickets, 0o777);
    const turn = await ask(tickets).turn;
    assert.match(turn.problem ?? '', /others than its owner can write/);
    turn.end();
  });
});
